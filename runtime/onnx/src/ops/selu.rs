//! `Selu`: `gamma x` if positive, otherwise `gamma alpha (exp(x) - 1)`.

use super::attribute::Attribute;
use super::elementwise::same_shape;
use super::operator::Operator;

pub(super) const SELU: Operator = Operator {
    since: 6,
    attributes: &[
        Attribute::float("alpha", 1.673_263_2),
        Attribute::float("gamma", 1.050_701),
    ],
    ..Operator::new("Selu", [1, 1], same_shape)
};
