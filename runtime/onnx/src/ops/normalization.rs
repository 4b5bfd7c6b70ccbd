//! Shape rule of operators that normalize channels by vectors of as many values.

use super::node::OperatorNode;
use crate::error::CheckError;
use crate::shape::SymbolicShape;

/// The shape of the first input, `[N, C, ...]`; the others are `[C]`.
pub(super) fn channels(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    node.required(1, "scale")?;
    let x = node.image()?;
    let channels = node.fixed(x, 1)?;
    let names = ["scale", "bias", "mean", "variance"];
    for (what, vector) in names.into_iter().zip(node.other_shapes()) {
        node.vector(what, vector, channels)?;
    }
    check_epsilon(node)?;
    Ok(vec![x.clone()])
}

/// Checks that `epsilon` is a positive number.
pub(super) fn check_epsilon(node: &OperatorNode<'_>) -> Result<(), CheckError> {
    match node.float("epsilon") {
        Some(epsilon) if !(epsilon.is_finite() && epsilon > 0.) => {
            Err(node.range("epsilon", epsilon, "a positive number"))
        }
        _ => Ok(()),
    }
}
