//! Images on grids of their own against the reference implementation; see `tests/reference/make_resample_to_match.py`.

use ndarray::Array4;
use serde_json::Value;
use vesal_volume::preprocess::{Step, execute};
use vesal_volume::{Affine, Volume};

/// Error of single precision for intensities from -100 to 130.
const TOLERANCE: f32 = 1e-4;

/// The image that the reference was given.
fn image(grid: &Value, seed: f32) -> Volume {
    let shape: [usize; 3] = serde_json::from_value(grid["shape"].clone()).unwrap();
    let affine: [[f64; 4]; 4] = serde_json::from_value(grid["affine"].clone()).unwrap();
    let [x, y, z] = shape;
    let data = Array4::from_shape_fn((1, x, y, z), |(_, x, y, z)| {
        let steps = ((7 * x + 5 * y + 3 * z) % 4) as f64;
        let wave = (0.9 * x as f64 + 0.4 * y as f64 + f64::from(seed)).sin();
        (100.0 * wave + 10.0 * steps) as f32
    });
    Volume {
        data,
        affine: Affine(affine),
    }
}

#[test]
fn golden_resample_to_match() {
    let golden: Value = serde_json::from_str(include_str!("../resample_to_match.json")).unwrap();
    let mut images = vec![image(&golden["first"], 0.0)];
    let others = golden["others"].as_array().unwrap();
    for other in others {
        images.push(image(other, other["seed"].as_f64().unwrap() as f32));
    }
    let first = images[0].clone();
    let steps = [Step::ResampleToMatch { first_channels: 1 }];
    let (matched, _) = execute(images, &steps).unwrap();
    assert_eq!(matched.geometry(), first.geometry());
    let channels: Vec<_> = matched.data.outer_iter().collect();
    assert_eq!(channels[0], first.data.index_axis(ndarray::Axis(0), 0));
    for (other, found) in others.iter().zip(&channels[1..]) {
        let expected: Vec<f32> = serde_json::from_value(other["matched"].clone()).unwrap();
        assert_eq!(found.len(), expected.len());
        for ((at, found), expected) in found.indexed_iter().zip(expected) {
            assert!(
                (found - expected).abs() <= TOLERANCE,
                "{found} at {at:?}, expected {expected}"
            );
        }
    }
}
