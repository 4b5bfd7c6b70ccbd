//! `LeakyRelu`: `x` if positive, otherwise `alpha x`.

use super::attribute::Attribute;
use super::elementwise::same_shape;
use super::operator::{HalfInputs, Operator, User};

pub(super) const LEAKY_RELU: Operator = Operator {
    since: 6,
    attributes: &[Attribute::float("alpha", 0.01)],
    in_place: true,
    half: Some(HalfInputs::All),
    user: User::Exporter,
    ..Operator::new("LeakyRelu", [1, 1], same_shape)
};
