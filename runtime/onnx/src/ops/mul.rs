//! `Mul`: `a b`, broadcast.

use super::elementwise::broadcast;
use super::operator::{HalfInputs, Operator, User};

pub(super) const MUL: Operator = Operator {
    since: 7,
    half: Some(HalfInputs::All),
    user: User::Exporter,
    ..Operator::new("Mul", [2, 2], broadcast)
};
