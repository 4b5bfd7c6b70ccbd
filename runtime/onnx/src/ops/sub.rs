//! `Sub`: `a - b`, broadcast.

use super::elementwise::broadcast;
use super::operator::{HalfInputs, Operator};

pub(super) const SUB: Operator = Operator {
    since: 7,
    half: Some(HalfInputs::All),
    ..Operator::new("Sub", [2, 2], broadcast)
};
