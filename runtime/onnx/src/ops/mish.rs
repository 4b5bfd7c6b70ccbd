//! `Mish`: `x tanh(ln(exp(x) + 1))`.

use super::elementwise::same_shape;
use super::operator::Operator;

pub(super) const MISH: Operator = Operator {
    since: 18,
    ..Operator::new("Mish", [1, 1], same_shape)
};
