//! `Softmax`: `exp(x) / Σ exp(x)` along an axis.

use super::attribute::Attribute;
use super::node::OperatorNode;
use super::operator::{HalfInputs, Operator, User};
use crate::error::CheckError;
use crate::shape::SymbolicShape;

pub(super) const SOFTMAX: Operator = Operator {
    since: 13,
    attributes: &[Attribute::int("axis", -1)],
    half: Some(HalfInputs::All),
    user: User::Exporter,
    ..Operator::new("Softmax", [1, 1], shapes)
};

/// The shape of the input; the axis is not that of the batch, whose volumes have nothing to do with each other.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let x = node.required(0, "first input")?;
    node.axis(x.rank(), 1, "one of the input's axes behind the first")?;
    Ok(vec![x.clone()])
}
