//! `Mul`: `a b`, broadcast.

use super::elementwise::broadcast;
use super::operator::{HalfInputs, Operator};

pub(super) const MUL: Operator = Operator {
    since: 7,
    half: Some(HalfInputs::All),
    ..Operator::new("Mul", [2, 2], broadcast)
};
