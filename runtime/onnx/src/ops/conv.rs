//! `Conv`: convolution with explicit padding, dilations and groups.

use super::attribute::Attribute;
use super::convolution;
use super::operator::{HalfInputs, Operator, User};

pub(super) const CONV: Operator = Operator {
    since: 1,
    attributes: &[
        Attribute::AUTO_PAD,
        Attribute::ones("dilations"),
        Attribute::int("group", 1),
        Attribute::derived_ints("kernel_shape"),
        Attribute::zeros("pads"),
        Attribute::ones("strides"),
    ],
    half: Some(HalfInputs::All),
    user: User::Exporter,
    ..Operator::new("Conv", [2, 3], |node| convolution::shapes(node, false))
};
