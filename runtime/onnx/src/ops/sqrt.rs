//! `Sqrt`: the square root.

use super::elementwise::same_shape;
use super::operator::Operator;

pub(super) const SQRT: Operator = Operator {
    since: 6,
    ..Operator::new("Sqrt", [1, 1], same_shape)
};
