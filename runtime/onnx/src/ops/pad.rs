//! `Pad`: elements before and after every axis, in constant numbers.

use super::attribute::Attribute;
use super::node::OperatorNode;
use super::operator::{HalfInputs, Operator, User};
use crate::error::{CheckError, ShapeProblem};
use crate::shape::{Dim, SymbolicShape};

/// Inputs: the values, pads, the padding value.
pub(super) const PAD: Operator = Operator {
    since: 11,
    integers: &[1],
    attributes: &[Attribute::text("mode", &["constant", "reflect", "edge"])],
    half: Some(HalfInputs::Only(&[0, 2])),
    user: User::Exporter,
    ..Operator::new("Pad", [2, 3], shapes)
};

/// `size + before + after` along every axis; negative numbers crop. A free batch is not padded.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let x = node.required(0, "first input")?;
    let pads = node.integers(1, "constant pads")?;
    let pads = pads.ok_or_else(|| node.missing_input("constant pads", "64-bit integers"))?;
    if let Some(value) = node.shape(2)
        && value.rank() > 0
    {
        return Err(node.rank("value", value, "0"));
    }
    let rank = x.rank();
    if pads.len() != 2 * rank {
        let expected = format!("{} values, two for each axis", 2 * rank);
        return Err(node.values("pads", format!("{pads:?}"), expected));
    }
    let reflects = node.text("mode") == Some(b"reflect");
    let axes = x.0.iter().enumerate();
    let dims = axes.map(|(axis, dim)| match (dim, pads[axis], pads[axis + rank]) {
        (dim, 0, 0) => Ok(dim.clone()),
        (Dim::Free(_), _, _) => Err(node.problem(ShapeProblem::Free { axis })),
        (Dim::Fixed(size), before, after) => {
            // Reflected elements lie inside of the border.
            if reflects && before.max(after) >= *size {
                let found = before.max(after);
                return Err(node.values("pads", found, "less than the size of the axis"));
            }
            // No element may be cropped twice.
            let kept = size
                .saturating_add(before.min(0))
                .saturating_add(after.min(0));
            let found = size.saturating_add(before).saturating_add(after);
            node.present(axis, if kept < 1 { kept } else { found })
        }
    });
    Ok(vec![SymbolicShape(dims.collect::<Result<_, _>>()?)])
}
