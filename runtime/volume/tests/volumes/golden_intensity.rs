//! Intensity normalization against the reference implementation.

use crate::golden;
use ndarray::{Array4, Ix4};
use vesal_volume::intensity::normalize;
use vesal_volume::preprocess::Normalization;

const TOLERANCE: f64 = 1e-5;

fn check(normalization: impl Fn(f32, f32) -> Normalization, expected_name: &str) {
    let Some(file) = golden::load("intensity") else {
        return;
    };
    for (case, expected) in golden::cases(&file).iter().enumerate() {
        let image = golden::array(&expected["image"])
            .into_dimensionality::<Ix4>()
            .unwrap();
        let mut found: Array4<f32> = image.mapv(|x| x as f32);
        let (low, high) = (
            golden::number(&expected["low"]),
            golden::number(&expected["high"]),
        );
        let channels = vec![normalization(low as f32, high as f32); found.dim().0];
        normalize(&mut found, &channels).unwrap();
        let expected = golden::array(&expected[expected_name])
            .into_dimensionality::<Ix4>()
            .unwrap();
        assert_eq!(found.dim(), expected.dim());
        for ((at, found), expected) in found.indexed_iter().zip(&expected) {
            let error = (f64::from(*found) - expected).abs();
            assert!(
                error <= TOLERANCE,
                "case {case}: {found} at {at:?}, expected {expected}"
            );
        }
    }
}

#[test]
fn golden_ct_normalization() {
    check(|low, high| Normalization::SigmoidRange { low, high }, "ct");
}

#[test]
fn golden_mr_normalization() {
    check(|_, _| Normalization::ZScoreNonzero, "zscore_nonzero");
}
