//! `Gelu`: `x Φ(x)` with the normal distribution function `Φ`, exact or by a hyperbolic tangent.

use super::attribute::Attribute;
use super::elementwise::same_shape;
use super::operator::{HalfInputs, Operator, User};

pub(super) const GELU: Operator = Operator {
    since: 20,
    attributes: &[Attribute::text("approximate", &["none", "tanh"])],
    copies: 1,
    half: Some(HalfInputs::All),
    user: User::Exporter,
    ..Operator::new("Gelu", [1, 1], same_shape)
};
