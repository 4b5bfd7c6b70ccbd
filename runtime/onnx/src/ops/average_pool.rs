//! `AveragePool`: the mean over a moving window.

use super::attribute::Attribute;
use super::operator::{HalfInputs, Operator};
use super::pooling::shapes;

pub(super) const AVERAGE_POOL: Operator = Operator {
    since: 7,
    attributes: &[
        Attribute::AUTO_PAD,
        Attribute::int("ceil_mode", 0),
        Attribute::int("count_include_pad", 0),
        Attribute::ones("dilations"),
        Attribute::required_ints("kernel_shape"),
        Attribute::zeros("pads"),
        Attribute::ones("strides"),
    ],
    half: Some(HalfInputs::All),
    ..Operator::new("AveragePool", [1, 1], shapes)
};
