//! `GlobalAveragePool`: the mean of every channel of every volume.

use super::node::OperatorNode;
use super::operator::Operator;
use crate::error::CheckError;
use crate::shape::{Dim, SymbolicShape};

pub(super) const GLOBAL_AVERAGE_POOL: Operator = Operator::new("GlobalAveragePool", [1, 1], shapes);

/// `[N, C, ...]` → `[N, C, 1, ...]`.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let mut shape = node.image()?.clone();
    shape.0[2..].fill(Dim::Fixed(1));
    Ok(vec![shape])
}
