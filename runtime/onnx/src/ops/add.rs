//! `Add`: `a + b`, broadcast.

use super::elementwise::broadcast;
use super::operator::{HalfInputs, Operator, User};

pub(super) const ADD: Operator = Operator {
    since: 7,
    in_place: true,
    half: Some(HalfInputs::All),
    user: User::Exporter,
    ..Operator::new("Add", [2, 2], broadcast)
};
