//! `HardSigmoid`: `max(0, min(1, alpha x + beta))`.

use super::attribute::Attribute;
use super::elementwise::same_shape;
use super::operator::Operator;

pub(super) const HARD_SIGMOID: Operator = Operator {
    since: 6,
    attributes: &[
        Attribute::float("alpha", 0.2),
        Attribute::float("beta", 0.5),
    ],
    ..Operator::new("HardSigmoid", [1, 1], same_shape)
};
