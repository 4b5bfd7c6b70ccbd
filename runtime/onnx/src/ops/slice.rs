//! `Slice`: ranges of axes, with constant bounds and steps.

use super::node::{OperatorNode, from_first};
use super::operator::{HalfInputs, Operator, User};
use crate::error::CheckError;
use crate::shape::SymbolicShape;

/// Inputs: the values, starts, ends, axes, steps.
pub(super) const SLICE: Operator = Operator {
    since: 11,
    integers: &[1, 2, 3, 4],
    half: Some(HalfInputs::Only(&[0])),
    user: User::Exporter,
    ..Operator::new("Slice", [3, 5], shapes)
};

/// Sizes of the ranges; a free batch has none.
///
/// **Definition**: bounds below 0 are counted from the end, and all are limited to the axis; a range has
/// `ceil((end - start) / step)` elements.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let x = node.required(0, "first input")?;
    let list = |index, what| node.integers(index, what);
    let missing = || node.missing_input("constant bounds", "64-bit integers");
    let starts = list(1, "constant bounds")?.ok_or_else(missing)?;
    let ends = list(2, "constant bounds")?.ok_or_else(missing)?;
    let count = starts.len();
    let axes = match list(3, "constant axes")? {
        Some(axes) => axes,
        None => (0..count as i64).collect(),
    };
    let steps = list(4, "constant steps")?.unwrap_or_else(|| vec![1; count]);
    let lengths = [ends.len(), axes.len(), steps.len()];
    if let Some(found) = lengths.into_iter().find(|length| *length != count) {
        let found = format!("{found} values");
        return Err(node.values(
            "ends, axes or steps",
            found,
            format!("{count}, as its starts"),
        ));
    }
    let mut shape = x.clone();
    let mut seen = Vec::new();
    for index in 0..count {
        let axis = from_first(axes[index], x.rank()).filter(|axis| !seen.contains(axis));
        let axis = axis.ok_or_else(|| {
            node.values("axes", axes[index], "axes of the input, each at most once")
        })?;
        seen.push(axis);
        let size = node.fixed(x, axis)?;
        if steps[index] == 0 {
            return Err(node.values("steps", 0, "other numbers"));
        }
        let length = length(size, starts[index], ends[index], steps[index]);
        shape.0[axis] = node.present(axis, length)?;
    }
    Ok(vec![shape])
}

/// Elements of a range of an axis.
fn length(size: i64, start: i64, end: i64, step: i64) -> i64 {
    if size < 1 {
        return 0;
    }
    let from_end = |bound: i64| {
        if bound < 0 {
            bound.saturating_add(size)
        } else {
            bound
        }
    };
    let (start, end) = (from_end(start), from_end(end));
    let (span, step) = if step > 0 {
        (end.clamp(0, size) - start.clamp(0, size), step)
    } else {
        let (start, end) = (start.clamp(0, size - 1), end.clamp(-1, size - 1));
        (start - end, step.saturating_neg())
    };
    if span <= 0 { 0 } else { (span - 1) / step + 1 }
}

#[cfg(test)]
mod tests {
    use super::length;

    #[test]
    fn ranges_are_limited_to_the_axis() {
        assert_eq!(length(8, 1, 5, 1), 4);
        assert_eq!(length(8, 1, 6, 2), 3);
        assert_eq!(length(8, -3, i64::MAX, 1), 3);
        assert_eq!(length(8, -1, i64::MIN, -1), 8);
        assert_eq!(length(8, 7, 0, -3), 3);
        assert_eq!(length(8, 5, 5, 1), 0);
        assert_eq!(length(8, 6, 2, 1), 0);
    }
}
