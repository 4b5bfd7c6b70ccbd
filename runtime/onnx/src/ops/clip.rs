//! `Clip`: `min(max(x, low), high)`, with scalar limits.

use super::node::Node;
use super::operator::Operator;
use crate::error::CheckError;
use crate::shape::Shape;

pub(super) const CLIP: Operator = Operator {
    since: 11,
    ..Operator::new("Clip", [1, 3], shapes)
};

fn shapes(node: &Node<'_>) -> Result<Vec<Shape>, CheckError> {
    let x = node.required(0, "first input")?;
    match node.other_shapes().find(|limit| limit.rank() > 0) {
        Some(limit) => Err(node.rank("limit", limit, "0")),
        None => Ok(vec![x.clone()]),
    }
}
