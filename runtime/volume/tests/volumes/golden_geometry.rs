//! Orientation, resampling and affines against the reference implementation.

use crate::golden;
use ndarray::{Array3, Array4, Ix3, Ix4};
use serde_json::Value;
use vesal_volume::orientation::{Orientation, reorient_labels, reorient_volume};
use vesal_volume::resample::{resample_labels, resample_volume, spaced_geometry};
use vesal_volume::{Affine, LabelMap, Volume};

const IMAGE_TOLERANCE: f64 = 1e-4;
const AFFINE_TOLERANCE: f64 = 1e-6;

fn affine(value: &Value) -> Affine {
    let rows: Vec<Vec<f64>> = value
        .as_array()
        .unwrap()
        .iter()
        .map(golden::numbers)
        .collect();
    Affine(std::array::from_fn(|row| {
        std::array::from_fn(|column| rows[row][column])
    }))
}

fn image(value: &Value) -> Array4<f64> {
    golden::array(value).into_dimensionality::<Ix4>().unwrap()
}

fn labels(value: &Value) -> Array3<u16> {
    let with_channel = image(value).mapv(|label| label as u16);
    with_channel
        .index_axis_move(ndarray::Axis(0), 0)
        .into_dimensionality::<Ix3>()
        .unwrap()
}

fn assert_affine(case: usize, found: &Affine, expected: &Affine) {
    let mut pairs = found.0.iter().flatten().zip(expected.0.iter().flatten());
    assert!(
        pairs.all(|(a, b)| (a - b).abs() <= AFFINE_TOLERANCE),
        "case {case}: affine {found:?}, expected {expected:?}"
    );
}

fn assert_image(case: usize, found: &Array4<f32>, expected: &Array4<f64>) {
    assert_eq!(found.dim(), expected.dim(), "case {case}: shape");
    for ((at, found), expected) in found.indexed_iter().zip(expected) {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error <= IMAGE_TOLERANCE,
            "case {case}: {found} at {at:?}, expected {expected}"
        );
    }
}

#[test]
fn golden_orientation_codes() {
    let Some(file) = golden::load("geometry") else {
        return;
    };
    for (case, expected) in golden::cases(&file).iter().enumerate() {
        let found = Orientation::of(&affine(&expected["affine"])).unwrap();
        assert_eq!(
            found.to_string(),
            expected["axcodes"].as_str().unwrap(),
            "case {case}"
        );
    }
}

#[test]
fn golden_reorientation_and_resampling_of_images() {
    let Some(file) = golden::load("geometry") else {
        return;
    };
    for (case, expected) in golden::cases(&file).iter().enumerate() {
        let volume = Volume {
            data: image(&expected["image"]).mapv(|x| x as f32),
            affine: affine(&expected["affine"]),
        };
        let (ras, _) = reorient_volume(volume, Orientation::RAS).unwrap();
        assert_image(case, &ras.data, &image(&expected["ras_image"]));
        assert_affine(case, &ras.affine, &affine(&expected["ras_affine"]));
        let target = golden::numbers(&expected["target_spacing"]);
        let to = spaced_geometry(
            &ras.geometry(),
            [target[0], target[1], target[2]],
            [1.0, 1.0],
        )
        .unwrap();
        let found = resample_volume(&ras, &to).unwrap();
        assert_image(case, &found.data, &image(&expected["resampled_image"]));
        assert_affine(case, &found.affine, &affine(&expected["resampled_affine"]));
    }
}

#[test]
fn golden_reorientation_and_resampling_of_labels() {
    let Some(file) = golden::load("geometry") else {
        return;
    };
    for (case, expected) in golden::cases(&file).iter().enumerate() {
        let map = LabelMap {
            data: labels(&expected["label"]),
            affine: affine(&expected["affine"]),
        };
        let (ras, _) = reorient_labels(map, Orientation::RAS).unwrap();
        let target = golden::numbers(&expected["target_spacing"]);
        let to = spaced_geometry(
            &ras.geometry(),
            [target[0], target[1], target[2]],
            [1.0, 1.0],
        )
        .unwrap();
        let found = resample_labels(&ras, &to).unwrap();
        let expected_labels = labels(&expected["resampled_label"]);
        assert_eq!(
            found.data.dim(),
            expected_labels.dim(),
            "case {case}: shape"
        );
        assert_eq!(found.data, expected_labels, "case {case}");
        assert_affine(case, &found.affine, &affine(&expected["resampled_affine"]));
    }
}
