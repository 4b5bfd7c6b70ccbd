//! `MatMul`: matrix products with broadcast leading axes.

use super::elementwise::broadcast_shapes;
use super::node::OperatorNode;
use super::operator::{HalfInputs, Operator, User};
use crate::error::{CheckError, ShapeProblem};
use crate::shape::{Dim, SymbolicShape};

pub(super) const MAT_MUL: Operator = Operator {
    since: 1,
    half: Some(HalfInputs::All),
    user: User::Exporter,
    ..Operator::new("MatMul", [2, 2], shapes)
};

/// `[..., M, K]` and `[..., K, N]` → `[..., M, N]`.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let left = node.required(0, "first input")?;
    let right = node.required(1, "second input")?;
    for (input, shape) in [("first input", left), ("second input", right)] {
        if shape.rank() < 2 {
            return Err(node.rank(input, shape, "at least 2"));
        }
    }
    let (outer, rows) = left.0.split_at(left.rank() - 2);
    let (other_outer, columns) = right.0.split_at(right.rank() - 2);
    inner(node, left, &rows[1], right, &columns[0])?;
    let outer = SymbolicShape(outer.to_vec());
    let mut shape = broadcast_shapes(node, &outer, &SymbolicShape(other_outer.to_vec()))?;
    shape.0.extend([rows[0].clone(), columns[1].clone()]);
    Ok(vec![shape])
}

/// Checks that the axes that are summed over have one fixed size: never that of the batch.
pub(super) fn inner(
    node: &OperatorNode<'_>,
    left: &SymbolicShape,
    left_size: &Dim,
    right: &SymbolicShape,
    right_size: &Dim,
) -> Result<(), CheckError> {
    if matches!(left_size, Dim::Fixed(_)) && left_size == right_size {
        return Ok(());
    }
    Err(node.problem(ShapeProblem::Product {
        left: left.to_string(),
        right: right.to_string(),
    }))
}
