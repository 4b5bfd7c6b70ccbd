//! `Div`: `a / b`, broadcast.

use super::elementwise::broadcast;
use super::operator::Operator;

pub(super) const DIV: Operator = Operator {
    since: 7,
    ..Operator::new("Div", [2, 2], broadcast)
};
