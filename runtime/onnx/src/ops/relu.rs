//! `Relu`: `max(x, 0)`.

use super::elementwise::same_shape;
use super::operator::{HalfInputs, Operator, User};

pub(super) const RELU: Operator = Operator {
    since: 6,
    in_place: true,
    half: Some(HalfInputs::All),
    user: User::Exporter,
    ..Operator::new("Relu", [1, 1], same_shape)
};
