//! `Gather`: slices along an axis, by constant indices.

use super::attribute::Attribute;
use super::node::{OperatorNode, from_first};
use super::operator::{HalfInputs, Operator, User};
use crate::error::CheckError;
use crate::proto::TensorProto;
use crate::shape::{Dim, SymbolicShape};

pub(super) const GATHER: Operator = Operator {
    since: 11,
    integers: &[1],
    attributes: &[Attribute::int("axis", 0)],
    half: Some(HalfInputs::Only(&[0])),
    user: User::Exporter,
    ..Operator::new("Gather", [2, 2], shapes)
};

/// Most indices: each node reads all of its own. Tokens of a volume of 128³ voxels in windows of 7³ are 343,000.
pub const MAX_INDICES: i64 = 1 << 19;

/// The axes of the indices take the place of the axis, which is not that of a free batch.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let x = node.required(0, "first input")?;
    let expected = "one of the input's axes";
    let axis = node.axis(x.rank(), 0, expected)?;
    let size = node.fixed(x, axis)?;
    let missing = || node.missing_input("constant indices", "64-bit integers");
    let indices = node.input(1).ok_or_else(missing)?;
    let count = indices.elements();
    if !count.is_some_and(|count| (0..=MAX_INDICES).contains(&count)) {
        let found = format!("values of shape {}", indices.shape);
        return Err(node.values("indices", found, format!("at most {MAX_INDICES}")));
    }
    let values = indices.constant.and_then(TensorProto::integers);
    let values = values.ok_or_else(missing)?;
    let allowed = usize::try_from(size).unwrap_or(0);
    let outside = values
        .iter()
        .find(|&&index| from_first(index, allowed).is_none());
    if let Some(index) = outside {
        let expected = format!("-{size} to {}", size.saturating_sub(1));
        return Err(node.values("indices", index, expected));
    }
    let mut shape: Vec<Dim> = x.0[..axis].to_vec();
    shape.extend_from_slice(&indices.shape.0);
    shape.extend_from_slice(&x.0[axis + 1..]);
    Ok(vec![SymbolicShape(shape)])
}
