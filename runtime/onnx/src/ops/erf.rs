//! `Erf`: the error function.

use super::elementwise::same_shape;
use super::operator::{HalfInputs, Operator};

pub(super) const ERF: Operator = Operator {
    since: 9,
    half: Some(HalfInputs::All),
    ..Operator::new("Erf", [1, 1], same_shape)
};
