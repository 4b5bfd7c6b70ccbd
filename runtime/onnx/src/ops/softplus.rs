//! `Softplus`: `ln(exp(x) + 1)`.

use super::elementwise::same_shape;
use super::operator::Operator;

pub(super) const SOFTPLUS: Operator = Operator {
    since: 1,
    ..Operator::new("Softplus", [1, 1], same_shape)
};
