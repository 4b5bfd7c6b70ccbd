//! `Sigmoid`: `1 / (1 + exp(-x))`.

use super::elementwise::same_shape;
use super::operator::{HalfInputs, Operator};

pub(super) const SIGMOID: Operator = Operator {
    since: 6,
    half: Some(HalfInputs::All),
    ..Operator::new("Sigmoid", [1, 1], same_shape)
};
