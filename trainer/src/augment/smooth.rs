//! Gaussian smoothing.

use ndarray::{Array4, Axis};

/// Extent of a kernel on each side of the center, in standard deviations.
const TRUNCATION: f64 = 4.0;

/// Smooths every channel with a Gaussian whose standard deviation is given in voxels per axis, `[X, Y, Z]`; 0 leaves an
/// axis unchanged.
///
/// **Definition**: separable kernels whose weights are the integral of the Gaussian over each voxel, out to 4
/// standard deviations and at least 1 voxel; the border is repeated.
///
/// **Source**: MONAI 1.6.1 `GaussianFilter(approx="erf")`, which pads the patch with zeros instead.
pub fn smooth(image: &mut Array4<f32>, sigma: [f64; 3]) {
    for (axis, sigma) in sigma.into_iter().enumerate() {
        if sigma > 0.0 {
            convolve(image, Axis(axis + 1), &kernel(sigma));
        }
    }
}

/// Weights of the center and of the voxels on one side of it; both sides and the center sum to 1.
fn kernel(sigma: f64) -> Vec<f32> {
    let reach = ((sigma * TRUNCATION).max(0.5) + 0.5) as usize;
    let edge = |distance: f64| erf(distance / (sigma * 2f64.sqrt()));
    let weights: Vec<f64> = (0..=reach)
        .map(|k| 0.5 * (edge(k as f64 + 0.5) - edge(k as f64 - 0.5)))
        .collect();
    let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
    weights
        .into_iter()
        .map(|weight| (weight / sum) as f32)
        .collect()
}

/// The error function, to 1.5e-7.
///
/// **Source**: Abramowitz and Stegun 1964, 7.1.26.
fn erf(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 5] = [
        1.061405429,
        -1.453152027,
        1.421413741,
        -0.284496736,
        0.254829592,
    ];
    let t = 1.0 / (1.0 + 0.3275911 * x.abs());
    let polynomial = COEFFICIENTS
        .into_iter()
        .fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    (1.0 - polynomial * (-x * x).exp()).copysign(x)
}

/// Convolves along one axis with a symmetric kernel.
fn convolve(image: &mut Array4<f32>, axis: Axis, kernel: &[f32]) {
    let source = image.clone();
    let length = source.len_of(axis);
    for (position, mut target) in image.axis_iter_mut(axis).enumerate() {
        target.mapv_inplace(|value| kernel[0] * value);
        for (distance, &weight) in kernel.iter().enumerate().skip(1) {
            let before = position.saturating_sub(distance);
            let after = (position + distance).min(length - 1);
            target.scaled_add(weight, &source.index_axis(axis, before));
            target.scaled_add(weight, &source.index_axis(axis, after));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays() {
        let mut image = Array4::from_elem((2, 3, 4, 1), 7.0);
        smooth(&mut image, [0.5, 0.7, 1.0]);
        assert!(
            image.iter().all(|value| (value - 7.0).abs() < 1e-5),
            "{image}"
        );
    }

    #[test]
    fn a_point_becomes_the_kernel_along_each_axis() {
        for axis in 0..3 {
            let mut image = Array4::zeros((1, 9, 9, 9));
            image[[0, 4, 4, 4]] = 1.0;
            let mut sigma = [1e-3; 3];
            sigma[axis] = 0.5;
            smooth(&mut image, sigma);
            let at = |offset: usize| {
                let mut index = [0, 4, 4, 4];
                index[axis + 1] += offset;
                image[index]
            };
            // From a table: integrals of a Gaussian of deviation 0.5 over [-0.5, 0.5] and [0.5, 1.5].
            assert!(
                (at(0) - 0.6827).abs() < 1e-3 && (at(1) - 0.1573).abs() < 1e-3,
                "{} {}",
                at(0),
                at(1)
            );
            assert!((image.sum() - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn the_error_function_is_right() {
        for (x, expected) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (-2.0, -0.995_322_265_0),
        ] {
            assert!((erf(x) - expected).abs() < 2e-7, "{x}: {}", erf(x));
        }
    }
}
