//! How far tensors are apart.

use ndarray::{ArrayView, Dimension};

/// Largest absolute difference; NaN where a value on either side is NaN, so that no tolerance allows it.
pub fn largest_difference<D: Dimension>(
    found: ArrayView<'_, f32, D>,
    expected: ArrayView<'_, f32, D>,
) -> f32 {
    assert_eq!(found.shape(), expected.shape());
    let pairs = found.iter().zip(expected.iter());
    let differences = pairs.map(|(a, b)| (a - b).abs());
    differences.fold(0., |largest, difference| {
        if difference > largest || difference.is_nan() {
            difference
        } else {
            largest
        }
    })
}

/// The largest difference, as a part of the largest expected value.
pub fn relative_difference<D: Dimension>(
    found: ArrayView<'_, f32, D>,
    expected: ArrayView<'_, f32, D>,
) -> f32 {
    let largest = expected
        .iter()
        .fold(0_f32, |most, value| most.max(value.abs()));
    largest_difference(found, expected) / largest
}
