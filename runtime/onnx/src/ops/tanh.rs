//! `Tanh`: the hyperbolic tangent.

use super::elementwise::same_shape;
use super::operator::Operator;

pub(super) const TANH: Operator = Operator {
    since: 6,
    ..Operator::new("Tanh", [1, 1], same_shape)
};
