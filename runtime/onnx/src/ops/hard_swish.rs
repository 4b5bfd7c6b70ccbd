//! `HardSwish`: `x max(0, min(1, x / 6 + 0.5))`.

use super::elementwise::same_shape;
use super::operator::Operator;

pub(super) const HARD_SWISH: Operator = Operator {
    since: 14,
    ..Operator::new("HardSwish", [1, 1], same_shape)
};
