//! `Transpose`: the axes in another order.

use super::attribute::Attribute;
use super::node::OperatorNode;
use super::operator::{HalfInputs, Operator, User};
use crate::error::CheckError;
use crate::shape::SymbolicShape;

pub(super) const TRANSPOSE: Operator = Operator {
    since: 1,
    attributes: &[Attribute::derived_ints("perm")],
    half: Some(HalfInputs::All),
    user: User::Exporter,
    ..Operator::new("Transpose", [1, 1], shapes)
};

/// Axis `i` of the output is axis `perm[i]` of the input; without `perm`, the order is reversed.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let x = node.required(0, "first input")?;
    let stated = node.ints("perm");
    let order: Vec<usize> = match stated {
        Some(order) => order
            .iter()
            .filter_map(|&axis| axis.try_into().ok())
            .collect(),
        None => (0..x.rank()).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..x.rank()) {
        let found = format!("{:?}", stated.unwrap_or_default());
        return Err(node.range("perm", found, "every axis of the input once"));
    }
    let dims = order.iter().map(|&axis| x.0[axis].clone());
    Ok(vec![SymbolicShape(dims.collect())])
}
