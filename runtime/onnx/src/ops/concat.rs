//! `Concat`: all inputs, concatenated along an axis.

use super::attribute::Attribute;
use super::node::OperatorNode;
use super::operator::{HalfInputs, MANY, Operator, User};
use crate::error::{CheckError, ShapeProblem};
use crate::shape::{Dim, SymbolicShape};

pub(super) const CONCAT: Operator = Operator {
    since: 4,
    attributes: &[Attribute::required_int("axis")],
    half: Some(HalfInputs::All),
    user: User::Exporter,
    ..Operator::new("Concat", [1, MANY], shapes)
};

/// Shapes that agree in all axes but one, along which sizes add up.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let x = node.required(0, "first input")?;
    let axis = node.axis(x.rank(), 0, "one of the input's axes")?;
    let mut shape = x.clone();
    let mut size = node.fixed(x, axis)?;
    for other in node.other_shapes() {
        let mut same = other.clone();
        if axis < same.rank() {
            size = size.saturating_add(node.fixed(other, axis)?);
            same.0[axis] = x.0[axis].clone();
        }
        if same != *x {
            return Err(node.problem(ShapeProblem::Concatenation {
                left: x.to_string(),
                right: other.to_string(),
                axis,
            }));
        }
    }
    shape.0[axis] = Dim::Fixed(size);
    Ok(vec![shape])
}
