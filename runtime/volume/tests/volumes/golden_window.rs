//! Window placement, importance and stitching against the reference implementation.

use crate::golden;
use std::convert::Infallible;

use ndarray::{Array3, Array5, ArrayD, ArrayView5, CowArray, Ix4, Ix5, s};
use serde_json::Value;
use vesal_volume::window::{
    Blend, Padding, PatchPredictor, WindowGrid, WindowPlan, importance_map, stitch,
};

/// A shape of up to three axes, the missing ones of extent 1.
fn shape(value: &Value) -> [usize; 3] {
    let given = golden::numbers(value);
    std::array::from_fn(|axis| given.get(axis).map_or(1, |&extent| extent as usize))
}

/// One overlap for all axes, or one per axis.
fn overlap(value: &Value) -> [f64; 3] {
    value.as_f64().map_or_else(
        || golden::numbers(value).try_into().unwrap(),
        |overlap| [overlap; 3],
    )
}

fn assert_close(
    found: impl IntoIterator<Item = f64>,
    expected: &ArrayD<f64>,
    tolerance: f64,
    case: usize,
) {
    let mut count = 0;
    for (found, &expected) in found.into_iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance,
            "case {case}, element {count}: {found}, expected {expected}"
        );
        count += 1;
    }
    assert_eq!(count, expected.len(), "case {case}");
}

#[test]
fn golden_window_grid() {
    let Some(file) = golden::load("window_grid") else {
        return;
    };
    for case in golden::cases(&file) {
        let axes = case["image"].as_array().unwrap().len();
        let plan = WindowPlan {
            size: shape(&case["roi"]),
            overlap: overlap(&case["overlap"]),
            blend: Blend::Constant,
            padding: Padding::Constant(0.0),
        };
        let grid = WindowGrid::new(shape(&case["image"]), &plan).unwrap();
        assert_eq!(grid.padded_shape(), shape(&case["padded"]), "{case}");
        assert_eq!(
            grid.interval()[..axes],
            shape(&case["interval"])[..axes],
            "{case}"
        );
        assert_eq!(
            grid.count(),
            case["windows"].as_u64().unwrap() as usize,
            "{case}"
        );
        assert_eq!(grid.windows().count(), grid.count(), "{case}");
        let starts = grid.starts();
        for (found, expected) in starts.iter().zip(case["starts"].as_array().unwrap()) {
            let expected: Vec<_> = golden::numbers(expected)
                .into_iter()
                .map(|start| start as usize)
                .collect();
            assert_eq!(*found, expected, "{case}");
        }
        assert!(starts[axes..].iter().all(|starts| *starts == [0]), "{case}");
    }
}

#[test]
fn golden_importance() {
    let Some(file) = golden::load("importance") else {
        return;
    };
    for (index, case) in golden::cases(&file).iter().enumerate() {
        let blend = Blend::Gaussian {
            sigma_scale: case["sigma_scale"].as_f64().unwrap(),
        };
        let map = importance_map(shape(&case["shape_in"]), blend);
        // The stored map may be the one before small weights were raised; NaN stays NaN.
        let stored = golden::array(&case["map"]);
        let floor = stored
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min)
            .max(1e-3);
        let expected = stored.mapv(|weight| if weight < floor { floor } else { weight });
        assert_close(
            map.iter().map(|&weight| f64::from(weight)),
            &expected,
            1e-6,
            index,
        );
    }
}

/// `2 a + ramp`, `b - ramp` and `(a + b) ramp` of channels a and b: depends on the position in the window.
struct Ramp {
    ramp: Array3<f32>,
    max_batch: usize,
}

impl PatchPredictor for Ramp {
    type Error = Infallible;

    fn output_channels(&self) -> usize {
        3
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn predict(
        &mut self,
        patches: ArrayView5<'_, f32>,
    ) -> Result<CowArray<'_, f32, Ix5>, Infallible> {
        let (n, _, x, y, z) = patches.dim();
        assert!(n <= self.max_batch);
        let mut output = Array5::zeros((n, 3, x, y, z));
        for (patch, mut output) in patches.outer_iter().zip(output.outer_iter_mut()) {
            let (a, b) = (
                patch.slice(s![0, .., .., ..]),
                patch.slice(s![1, .., .., ..]),
            );
            output
                .slice_mut(s![0, .., .., ..])
                .assign(&(&a * 2.0 + &self.ramp));
            output
                .slice_mut(s![1, .., .., ..])
                .assign(&(&b - &self.ramp));
            output
                .slice_mut(s![2, .., .., ..])
                .assign(&((&a + &b) * &self.ramp));
        }
        Ok(output.into())
    }
}

#[test]
fn golden_stitch() {
    let Some(file) = golden::load("stitch") else {
        return;
    };
    for (index, case) in golden::cases(&file).iter().enumerate() {
        let plan = WindowPlan {
            size: shape(&case["roi"]),
            overlap: overlap(&case["overlap"]),
            blend: match case["mode"].as_str().unwrap() {
                "gaussian" => Blend::Gaussian { sigma_scale: 0.125 },
                "constant" => Blend::Constant,
                other => panic!("case {index} has blend mode `{other}`"),
            },
            padding: match case["padding"].as_str().unwrap() {
                "constant" => Padding::Constant(0.0),
                "replicate" => Padding::Replicate,
                other => panic!("case {index} has padding mode `{other}`"),
            },
        };
        let coefficients = golden::numbers(&case["ramp_coefficients"]);
        let ramp = Array3::from_shape_fn(plan.size, |(x, y, z)| {
            [x, y, z]
                .iter()
                .zip(&coefficients)
                .map(|(&at, slope)| at as f64 * slope)
                .sum::<f64>() as f32
        });
        let input = golden::array(&case["input"])
            .mapv(|value| value as f32)
            .into_dimensionality::<Ix4>()
            .unwrap();
        let expected = golden::array(&case["output"]);
        for max_batch in [1, 3, 1000] {
            let mut predictor = Ramp {
                ramp: ramp.clone(),
                max_batch,
            };
            let found = stitch(input.view(), &plan, &mut predictor).unwrap();
            assert_eq!(found.shape(), expected.shape(), "case {index}");
            assert_close(
                found.iter().map(|&value| f64::from(value)),
                &expected,
                1e-5,
                index,
            );
        }
    }
}
