//! Shape rules of operators that compute each element of the output from one element of each input.

use super::node::OperatorNode;
use crate::error::CheckError;
use crate::shape::{Dim, SymbolicShape};

/// The shape of the first input.
pub(super) fn same_shape(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    Ok(vec![node.required(0, "first input")?.clone()])
}

/// The shape to which both inputs are broadcast.
///
/// **Definition**: shapes are aligned at their last axes; axes of size 1 and missing leading ones are repeated.
pub(super) fn broadcast(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let left = node.required(0, "first input")?;
    let right = node.required(1, "second input")?;
    Ok(vec![broadcast_shapes(node, left, right)?])
}

/// The shape of the first input, to which the second is broadcast.
pub(super) fn broadcast_to_first(
    node: &OperatorNode<'_>,
) -> Result<Vec<SymbolicShape>, CheckError> {
    let left = node.required(0, "first input")?;
    let right = node.required(1, "second input")?;
    Ok(vec![broadcast_onto(node, left, right)?])
}

/// `left`, if `right` can be broadcast to it.
pub(super) fn broadcast_onto(
    node: &OperatorNode<'_>,
    left: &SymbolicShape,
    right: &SymbolicShape,
) -> Result<SymbolicShape, CheckError> {
    let shape = broadcast_shapes(node, left, right)?;
    if shape == *left {
        return Ok(shape);
    }
    Err(node.broadcast_problem(left, right))
}

/// The shape to which two shapes are broadcast.
pub(super) fn broadcast_shapes(
    node: &OperatorNode<'_>,
    left: &SymbolicShape,
    right: &SymbolicShape,
) -> Result<SymbolicShape, CheckError> {
    let rank = left.rank().max(right.rank());
    let one = Dim::Fixed(1);
    let aligned = |shape: &SymbolicShape, axis: usize| {
        (axis + shape.rank())
            .checked_sub(rank)
            .map_or(one.clone(), |index| shape.0[index].clone())
    };
    let dims = (0..rank).map(|axis| match (aligned(left, axis), aligned(right, axis)) {
        (a, b) if a == b => Ok(a),
        (a, b) if b == one => Ok(a),
        (a, b) if a == one => Ok(b),
        _ => Err(node.broadcast_problem(left, right)),
    });
    dims.collect::<Result<_, _>>().map(SymbolicShape)
}
