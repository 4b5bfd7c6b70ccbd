//! `Identity`: `x`.

use super::elementwise::same_shape;
use super::operator::{HalfInputs, Operator};

pub(super) const IDENTITY: Operator = Operator {
    since: 1,
    half: Some(HalfInputs::All),
    ..Operator::new("Identity", [1, 1], same_shape)
};
