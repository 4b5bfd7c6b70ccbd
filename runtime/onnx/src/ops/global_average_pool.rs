//! `GlobalAveragePool`: the mean of every channel of every volume.

use super::node::Node;
use super::operator::Operator;
use crate::error::CheckError;
use crate::shape::{Dim, Shape};

pub(super) const GLOBAL_AVERAGE_POOL: Operator = Operator::new("GlobalAveragePool", [1, 1], shapes);

/// `[N, C, ...]` → `[N, C, 1, ...]`.
fn shapes(node: &Node<'_>) -> Result<Vec<Shape>, CheckError> {
    let mut shape = node.image()?.clone();
    shape.0[2..].fill(Dim::Fixed(1));
    Ok(vec![shape])
}
