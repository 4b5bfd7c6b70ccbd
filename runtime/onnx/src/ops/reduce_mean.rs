//! `ReduceMean`: the mean over constant axes.

use super::attribute::Attribute;
use super::node::{OperatorNode, from_first};
use super::operator::Operator;
use crate::error::CheckError;
use crate::shape::{Dim, SymbolicShape};

/// Inputs: the values, axes.
pub(super) const REDUCE_MEAN: Operator = Operator {
    since: 18,
    integers: &[1],
    attributes: &[
        Attribute::int("keepdims", 1),
        Attribute::zero("noop_with_empty_axes"),
    ],
    copies: 1,
    ..Operator::new("ReduceMean", [2, 2], shapes)
};

/// Sizes of 1 on the axes, or these axes removed; the batch is not among them.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let x = node.required(0, "first input")?;
    let axes = node.integers(1, "constant axes")?;
    // Without axes, all are reduced.
    let axes = axes.filter(|axes| !axes.is_empty());
    let axes = axes.ok_or_else(|| node.missing_input("constant axes", "64-bit integers"))?;
    let mut shape: Vec<Option<Dim>> = x.0.iter().cloned().map(Some).collect();
    let keeps = node.int("keepdims") != Some(0);
    let mut seen = Vec::new();
    for &found in &axes {
        let axis = from_first(found, x.rank());
        let axis = axis.filter(|axis| *axis > 0 && !seen.contains(axis));
        let expected = "axes of the input behind the first, each at most once";
        let axis = axis.ok_or_else(|| node.values("axes", found, expected))?;
        seen.push(axis);
        shape[axis] = keeps.then_some(Dim::Fixed(1));
    }
    Ok(vec![SymbolicShape(shape.into_iter().flatten().collect())])
}
