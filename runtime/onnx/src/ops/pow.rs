//! `Pow`: `a^b`, broadcast.

use super::elementwise::broadcast;
use super::operator::Operator;

pub(super) const POW: Operator = Operator {
    since: 7,
    ..Operator::new("Pow", [2, 2], broadcast)
};
