//! `Reshape`: the elements in another shape, given by a constant.

use super::attribute::Attribute;
use super::node::OperatorNode;
use super::operator::{HalfInputs, Operator, User};
use crate::error::{CheckError, ShapeProblem};
use crate::limits::MAX_AXES;
use crate::shape::{Dim, SymbolicShape};

pub(super) const RESHAPE: Operator = Operator {
    since: 5,
    integers: &[1],
    attributes: &[Attribute::zero("allowzero")],
    in_place: true,
    half: Some(HalfInputs::Only(&[0])),
    user: User::Exporter,
    ..Operator::new("Reshape", [2, 2], shapes)
};

/// Sizes as in the constant: 0 is the input's size of this axis, and -1, at most once, what is left.
///
/// A free batch axis stays the first axis: by 0, or by -1 where the other axes have as many elements as before.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let x = node.required(0, "first input")?;
    let sizes = node.integers(1, "constant shape")?;
    let sizes = sizes.ok_or_else(|| node.missing_input("constant shape", "64-bit integers"))?;
    if sizes.len() > MAX_AXES {
        return Err(node.problem(ShapeProblem::Rank {
            input: "output",
            found: sizes.len(),
            expected: format!("at most {MAX_AXES}"),
        }));
    }
    let impossible = || {
        node.problem(ShapeProblem::Reshape {
            input: x.to_string(),
            shape: sizes.clone(),
        })
    };
    let free = x.0.first().filter(|dim| matches!(dim, Dim::Free(_)));
    // Elements after a free batch axis, or all.
    let elements = |dims: &[Dim]| {
        dims.iter().try_fold(1_i64, |product, dim| match dim {
            Dim::Fixed(size) => product.checked_mul(*size),
            Dim::Free(_) => None,
        })
    };
    let total = elements(&x.0[usize::from(free.is_some())..]).ok_or_else(impossible)?;
    let mut shape = Vec::with_capacity(sizes.len());
    let (mut known, mut inferred) = (1_i64, None);
    for (axis, &size) in sizes.iter().enumerate() {
        let dim = match size {
            0 => x.0.get(axis).ok_or_else(impossible)?.clone(),
            -1 if inferred.is_none() => {
                inferred = Some(axis);
                Dim::Fixed(1)
            }
            size if size > 0 => Dim::Fixed(size),
            _ => return Err(impossible()),
        };
        if let Dim::Fixed(size) = dim {
            known = known.checked_mul(size).ok_or_else(impossible)?;
        }
        shape.push(dim);
    }
    if known < 1 || total < 0 {
        return Err(impossible());
    }
    let keeps_batch = matches!(shape.first(), Some(Dim::Free(_)));
    match (free, inferred) {
        // The rest is the batch.
        (Some(batch), Some(0)) if known == total => shape[0] = batch.clone(),
        (Some(_), _) if !keeps_batch => return Err(impossible()),
        (_, Some(axis)) if total % known == 0 => {
            shape[axis] = node.present(axis, total / known)?;
        }
        (_, None) if total == known => {}
        _ => return Err(impossible()),
    }
    Ok(vec![SymbolicShape(shape)])
}
