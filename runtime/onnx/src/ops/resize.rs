//! `Resize`: interpolation by constant factors or sizes.

use super::attribute::Attribute;
use super::node::OperatorNode;
use super::operator::{HalfInputs, Operator};
use crate::error::{CheckError, ShapeProblem};
use crate::limits::MAX_SIZE;
use crate::proto::TensorProto;
use crate::shape::{Dim, SymbolicShape};

/// Inputs: the values, a region (of no effect here), factors, sizes.
pub(super) const RESIZE: Operator = Operator {
    since: 13,
    integers: &[3],
    attributes: &[
        Attribute::zero("antialias"),
        Attribute::text(
            "coordinate_transformation_mode",
            &[
                "half_pixel",
                "pytorch_half_pixel",
                "align_corners",
                "asymmetric",
            ],
        ),
        Attribute::float("cubic_coeff_a", -0.75),
        Attribute::zero("exclude_outside"),
        Attribute::float("extrapolation_value", 0.),
        Attribute::text("mode", &["nearest", "linear", "cubic"]),
        Attribute::text(
            "nearest_mode",
            &["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"],
        ),
    ],
    half: Some(HalfInputs::Only(&[0])),
    ..Operator::new("Resize", [1, 4], shapes)
};

/// Sizes times constant factors, rounded down, or constant sizes; the batch stays as it is.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let x = node.required(0, "first input")?;
    let constant = |index: usize| {
        // Some programs write an empty constant for an omitted one.
        node.input(index)
            .filter(|input| input.shape.0 != [Dim::Fixed(0)])
    };
    let shape = match (constant(2), constant(3)) {
        (Some(factors), None) => {
            let factors = factors.list().and_then(TensorProto::single_floats);
            let factors =
                factors.ok_or_else(|| node.missing_input("constant factors", "32-bit floats"))?;
            let keeps = |factor| factor == 1.;
            resized(node, x, &factors, keeps, |size, factor| {
                let to = (size as f64 * f64::from(factor)).floor();
                (factor.is_finite() && to <= MAX_SIZE as f64).then_some(to as i64)
            })
        }
        (None, Some(sizes)) => {
            let sizes = sizes.list().and_then(TensorProto::integers);
            let sizes =
                sizes.ok_or_else(|| node.missing_input("constant sizes", "64-bit integers"))?;
            resized(node, x, &sizes, |_| false, |_, to| Some(to))
        }
        _ => Err(node.missing_input("factors or sizes", "one of both")),
    };
    Ok(vec![shape?])
}

/// Sizes by one value for each axis; a free one only where the value keeps any size.
fn resized<T: Copy>(
    node: &OperatorNode<'_>,
    x: &SymbolicShape,
    values: &[T],
    keeps: impl Fn(T) -> bool,
    to: impl Fn(i64, T) -> Option<i64>,
) -> Result<SymbolicShape, CheckError> {
    if values.len() != x.rank() {
        return Err(node.rank("input", x, values.len().to_string()));
    }
    let axes = x.0.iter().zip(values).enumerate();
    let dims = axes.map(|(axis, (dim, &value))| match dim {
        Dim::Free(_) if keeps(value) => Ok(dim.clone()),
        Dim::Free(_) => Err(node.problem(ShapeProblem::Free { axis })),
        Dim::Fixed(size) => {
            let found = to(*size, value).filter(|to| *to <= MAX_SIZE);
            node.present(axis, found.unwrap_or(-1))
        }
    });
    dims.collect::<Result<_, _>>().map(SymbolicShape)
}
