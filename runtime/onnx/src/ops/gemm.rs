//! `Gemm`: `alpha A B + beta C`, of matrices that may be transposed.

use super::attribute::Attribute;
use super::elementwise::broadcast_onto;
use super::mat_mul::inner;
use super::node::OperatorNode;
use super::operator::{HalfInputs, Operator};
use crate::error::CheckError;
use crate::shape::SymbolicShape;

pub(super) const GEMM: Operator = Operator {
    since: 11,
    attributes: &[
        Attribute::float("alpha", 1.),
        Attribute::float("beta", 1.),
        Attribute::int("transA", 0),
        Attribute::int("transB", 0),
    ],
    half: Some(HalfInputs::All),
    ..Operator::new("Gemm", [2, 3], shapes)
};

/// `[M, K]`, `[K, N]` and optionally `C` that is broadcast to the output → `[M, N]`.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let a = node.required(0, "first input")?;
    let b = node.required(1, "second input")?;
    for (input, shape) in [("first input", a), ("second input", b)] {
        if shape.rank() != 2 {
            return Err(node.rank(input, shape, "2"));
        }
    }
    let transposed = |name: &str| node.int(name).is_some_and(|value| value != 0);
    let (m, k) = if transposed("transA") { (1, 0) } else { (0, 1) };
    let (rows, n) = if transposed("transB") { (1, 0) } else { (0, 1) };
    inner(node, a, &a.0[k], b, &b.0[rows])?;
    let shape = SymbolicShape(vec![a.0[m].clone(), b.0[n].clone()]);
    match node.shape(2) {
        Some(c) => Ok(vec![broadcast_onto(node, &shape, c)?]),
        None => Ok(vec![shape]),
    }
}
