//! `GroupNormalization`: `scale (x - mean) / sqrt(variance + epsilon) + bias`, with mean and variance of groups of channels.

use super::attribute::Attribute;
use super::node::OperatorNode;
use super::normalization;
use super::operator::Operator;
use crate::error::CheckError;
use crate::shape::SymbolicShape;

pub(super) const GROUP_NORMALIZATION: Operator = Operator {
    since: 21,
    attributes: &[
        Attribute::float("epsilon", 1e-5),
        Attribute::required_int("num_groups"),
        Attribute::int("stash_type", 1),
    ],
    ..Operator::new("GroupNormalization", [3, 3], shapes)
};

fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let shapes = normalization::channels(node)?;
    let channels = node.fixed(&shapes[0], 1)?;
    match node.int("num_groups") {
        Some(groups) if groups < 1 || channels % groups != 0 => {
            Err(node.range("num_groups", groups, "a divisor of the channels"))
        }
        _ => Ok(shapes),
    }
}
