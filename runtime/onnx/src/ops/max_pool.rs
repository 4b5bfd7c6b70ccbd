//! `MaxPool`: the maximum over a moving window.

use super::attribute::Attribute;
use super::operator::Operator;
use super::pooling::shapes;

pub(super) const MAX_POOL: Operator = Operator {
    since: 8,
    attributes: &[
        Attribute::AUTO_PAD,
        Attribute::int("ceil_mode", 0),
        Attribute::ones("dilations"),
        Attribute::required_ints("kernel_shape"),
        Attribute::zeros("pads"),
        Attribute::zero("storage_order"),
        Attribute::ones("strides"),
    ],
    ..Operator::new("MaxPool", [1, 1], shapes)
};
