//! `Cast`: another element type; used by rewrites only.

use super::attribute::Attribute;
use super::elementwise::same_shape;
use super::operator::{Operator, User};

pub(super) const CAST: Operator = Operator {
    since: 13,
    attributes: &[Attribute::required_int("to")],
    user: User::Rewrite,
    ..Operator::new("Cast", [1, 1], same_shape)
};
