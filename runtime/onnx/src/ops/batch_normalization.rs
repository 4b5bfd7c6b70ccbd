//! `BatchNormalization` of inference: `scale (x - mean) / sqrt(variance + epsilon) + bias`, by channel.

use super::attribute::Attribute;
use super::normalization::channels;
use super::operator::{HalfInputs, Operator, User};

pub(super) const BATCH_NORMALIZATION: Operator = Operator {
    since: 9,
    attributes: &[
        Attribute::float("epsilon", 1e-5),
        Attribute::float("momentum", 0.9),
        Attribute::zero("training_mode"),
    ],
    half: Some(HalfInputs::All),
    user: User::Exporter,
    ..Operator::new("BatchNormalization", [5, 5], channels)
};
