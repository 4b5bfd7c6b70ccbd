//! `PRelu`: `x` if positive, otherwise `slope x`, with a slope that is broadcast to `x`.

use super::elementwise::broadcast_to_first;
use super::operator::Operator;

pub(super) const PRELU: Operator = Operator {
    since: 9,
    ..Operator::new("PRelu", [2, 2], broadcast_to_first)
};
