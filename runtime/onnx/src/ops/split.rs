//! `Split`: parts of an axis, of constant sizes.

use super::attribute::Attribute;
use super::node::OperatorNode;
use super::operator::{HalfInputs, MANY, Operator};
use crate::error::CheckError;
use crate::shape::SymbolicShape;

pub(super) const SPLIT: Operator = Operator {
    since: 13,
    outputs: [1, MANY],
    integers: &[1],
    attributes: &[
        Attribute::int("axis", 0),
        Attribute::optional_int("num_outputs"),
    ],
    half: Some(HalfInputs::Only(&[0])),
    ..Operator::new("Split", [1, 2], shapes)
};

/// The shape of the input with each part's size on the axis, which is not that of a free batch: by constant sizes, or by a
/// number of equal parts.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let x = node.required(0, "first input")?;
    let axis = node.axis(x.rank(), 0, "one of the input's axes")?;
    let size = node.fixed(x, axis)?;
    let outputs = node.outputs();
    let sizes = match (node.integers(1, "constant sizes")?, node.int("num_outputs")) {
        (Some(sizes), None) => sizes,
        (None, Some(parts)) => {
            if usize::try_from(parts) != Ok(outputs) || size % parts.max(1) != 0 {
                let expected = "the number of outputs, and a divisor of the axis";
                return Err(node.range("num_outputs", parts, expected));
            }
            vec![size / parts; outputs]
        }
        _ => return Err(node.missing_input("sizes or number of parts", "one of both")),
    };
    let total = sizes
        .iter()
        .try_fold(0_i64, |sum, part| sum.checked_add(*part));
    if sizes.len() != outputs || total != Some(size) {
        let expected = format!("a size for each of {outputs} outputs, {size} together");
        return Err(node.values("sizes", format!("{sizes:?}"), expected));
    }
    let part = |&size: &i64| {
        let mut shape = x.clone();
        shape.0[axis] = node.present(axis, size)?;
        Ok(shape)
    };
    sizes.iter().map(part).collect()
}
