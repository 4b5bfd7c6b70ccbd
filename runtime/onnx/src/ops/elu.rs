//! `Elu`: `x` if positive, otherwise `alpha (exp(x) - 1)`.

use super::attribute::Attribute;
use super::elementwise::same_shape;
use super::operator::Operator;

pub(super) const ELU: Operator = Operator {
    since: 6,
    attributes: &[Attribute::float("alpha", 1.)],
    ..Operator::new("Elu", [1, 1], same_shape)
};
