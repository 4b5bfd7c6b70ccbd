//! `Clip`: `min(max(x, low), high)`, with scalar limits.

use super::node::OperatorNode;
use super::operator::Operator;
use crate::error::CheckError;
use crate::shape::SymbolicShape;

pub(super) const CLIP: Operator = Operator {
    since: 11,
    ..Operator::new("Clip", [1, 3], shapes)
};

fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let x = node.required(0, "first input")?;
    match node.other_shapes().find(|limit| limit.rank() > 0) {
        Some(limit) => Err(node.rank("limit", limit, "0")),
        None => Ok(vec![x.clone()]),
    }
}
