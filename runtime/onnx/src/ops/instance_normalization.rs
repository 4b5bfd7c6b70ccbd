//! `InstanceNormalization`: `scale (x - mean) / sqrt(variance + epsilon) + bias`, with mean and variance of every channel of
//! every volume.

use super::attribute::Attribute;
use super::normalization::channels;
use super::operator::{HalfInputs, Operator, User};

pub(super) const INSTANCE_NORMALIZATION: Operator = Operator {
    since: 6,
    attributes: &[Attribute::float("epsilon", 1e-5)],
    half: Some(HalfInputs::All),
    user: User::Exporter,
    ..Operator::new("InstanceNormalization", [3, 3], channels)
};
