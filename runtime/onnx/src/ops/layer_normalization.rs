//! `LayerNormalization`: `scale (x - mean) / sqrt(variance + epsilon) + bias`, with mean and variance over the last axes.

use super::attribute::Attribute;
use super::node::OperatorNode;
use super::normalization::check_epsilon;
use super::operator::{HalfInputs, Operator, User};
use crate::error::{CheckError, ShapeProblem};
use crate::shape::SymbolicShape;

/// Mean and deviation, its further outputs, are not allowed.
pub(super) const LAYER_NORMALIZATION: Operator = Operator {
    since: 17,
    attributes: &[
        Attribute::int("axis", -1),
        Attribute::float("epsilon", 1e-5),
        Attribute::int("stash_type", 1),
    ],
    half: Some(HalfInputs::All),
    user: User::Exporter,
    ..Operator::new("LayerNormalization", [2, 3], shapes)
};

/// The shape of the first input; the others have the sizes of the axes from `axis` on, which is not that of the batch.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let x = node.required(0, "first input")?;
    node.required(1, "scale")?;
    let axis = node.axis(x.rank(), 1, "one of the input's axes behind the first")?;
    let normalized = SymbolicShape(x.0[axis..].to_vec());
    for (input, shape) in ["scale", "bias"].into_iter().zip(node.other_shapes()) {
        if *shape != normalized {
            return Err(node.problem(ShapeProblem::Sizes {
                input,
                found: shape.to_string(),
                expected: normalized.to_string(),
            }));
        }
    }
    check_epsilon(node)?;
    // 1 is the number of 32-bit floats, in which mean and deviation are computed.
    match node.int("stash_type") {
        Some(1) => Ok(vec![x.clone()]),
        found => Err(node.range("stash_type", found.unwrap_or_default(), "1")),
    }
}
