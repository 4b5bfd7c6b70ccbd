//! Properties of stitching for every volume and every plan.

use std::ops::ControlFlow;

use ndarray::{Array4, Array5, ArrayView5, Axis, CowArray, Ix5, s};
use proptest::prelude::*;
use vesal_volume::window::{
    Blend, Padding, PatchPredictor, StitchError, WindowPlan, WindowProgress, inferer_bytes, stitch,
    stitch_planes,
};

#[derive(Debug, thiserror::Error)]
#[error("network fails")]
struct Broken;

/// A predictor that computes a function of the patches.
struct Predictor<F> {
    channels: usize,
    max_batch: usize,
    answer: F,
}

impl<F: FnMut(ArrayView5<'_, f32>) -> Result<Array5<f32>, Broken>> PatchPredictor for Predictor<F> {
    type Error = Broken;

    fn output_channels(&self) -> usize {
        self.channels
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn predict(&mut self, patches: ArrayView5<'_, f32>) -> Result<CowArray<'_, f32, Ix5>, Broken> {
        (self.answer)(patches).map(CowArray::from)
    }
}

/// Adds the position along one axis of `[N, C, X, Y, Z]`.
fn add_position(axis: usize) -> impl FnMut(ArrayView5<'_, f32>) -> Result<Array5<f32>, Broken> {
    move |patches| {
        let mut output = patches.to_owned();
        for (position, mut slice) in output.axis_iter_mut(Axis(axis)).enumerate() {
            slice += position as f32;
        }
        Ok(output)
    }
}

fn plan(size: [usize; 3], overlap: [f64; 3], blend: Blend, padding: Padding) -> WindowPlan {
    WindowPlan {
        size,
        overlap,
        blend,
        padding,
    }
}

fn constant(size: [usize; 3], overlap: [f64; 3]) -> WindowPlan {
    plan(size, overlap, Blend::Constant, Padding::Constant(0.0))
}

const GAUSSIAN: Blend = Blend::Gaussian { sigma_scale: 0.125 };

fn assert_close(found: &Array4<f32>, expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() < 2e-6,
            "{found}, expected {expected}"
        );
    }
}

fn blend_line(blend: Blend) -> Array4<f32> {
    let volume = Array4::zeros((1, 1, 1, 10));
    let plan = plan([1, 1, 4], [0.5; 3], blend, Padding::Constant(0.0));
    stitch(
        volume.view(),
        &plan,
        &mut Predictor {
            channels: 1,
            max_batch: 2,
            answer: add_position(4),
        },
    )
    .unwrap()
}

#[test]
fn blends_a_line_as_the_reference_does() {
    assert_close(
        &blend_line(Blend::Constant),
        &[0., 1., 1., 2., 1., 2., 1., 2., 2., 3.],
    );
    let (high, low) = (1.964_028, 1.035_972);
    assert_close(
        &blend_line(GAUSSIAN),
        &[0., 1., high, low, high, low, high, low, 2., 3.],
    );
}

#[test]
fn overlaps_every_axis_by_its_own_fraction() {
    let volume = Array4::zeros((1, 6, 6, 1));
    let plan = constant([3, 4, 1], [0.0, 0.5, 0.0]);
    let mut predictor = Predictor {
        channels: 1,
        max_batch: 5,
        answer: add_position(3),
    };
    let found = stitch(volume.view(), &plan, &mut predictor).unwrap();
    assert_close(&found, &[0., 1., 1., 2., 2., 3.].repeat(6));
}

#[test]
fn pads_a_small_volume_on_both_sides() {
    let cumulate = |patches: ArrayView5<'_, f32>| {
        let mut output = patches.to_owned();
        output.accumulate_axis_inplace(Axis(4), |before, value| *value += before);
        Ok(output)
    };
    let line = |length: usize| Array4::from_shape_fn((1, 1, 1, length), |(.., z)| z as f32);
    let mut predictor = Predictor {
        channels: 1,
        max_batch: 1,
        answer: cumulate,
    };
    let replicate = plan([1, 1, 8], [0.0; 3], Blend::Constant, Padding::Replicate);
    let found = stitch(line(5).view(), &replicate, &mut predictor).unwrap();
    assert_close(&found, &[0., 1., 3., 6., 10.]);
    let minus_one = WindowPlan {
        padding: Padding::Constant(-1.0),
        ..replicate
    };
    let found = stitch(line(3).view(), &minus_one, &mut predictor).unwrap();
    assert_close(&found, &[-2., -1., 1.]);
}

#[test]
fn reads_patches_and_outputs_of_any_memory_layout() {
    let volume = Array4::from_shape_fn((2, 7, 5, 6), |(c, x, y, z)| {
        (c * 210 + x * 30 + y * 6 + z) as f32
    });
    let fortran = |patches: ArrayView5<'_, f32>| {
        let mut output = Array5::zeros(ndarray::ShapeBuilder::f(patches.dim()));
        output.assign(&patches);
        Ok(output)
    };
    let mut predictor = Predictor {
        channels: 2,
        max_batch: 3,
        answer: fortran,
    };
    let plan = constant([3, 4, 2], [0.5; 3]);
    assert_eq!(
        stitch(volume.view(), &plan, &mut predictor).unwrap(),
        volume
    );
    let flipped = volume.slice(s![.., ..;-1, .., ..;2]);
    assert_eq!(stitch(flipped, &plan, &mut predictor).unwrap(), flipped);
}

#[test]
fn reports_progress_and_stops_when_told() {
    let volume = Array4::<f32>::zeros((1, 10, 1, 1));
    let plan = constant([2, 1, 1], [0.0; 3]);
    let mut predictor = Predictor {
        channels: 1,
        max_batch: 2,
        answer: |patches: ArrayView5<'_, f32>| Ok(patches.to_owned()),
    };
    let mut seen = Vec::new();
    let mut planes = 0;
    let end = stitch_planes(
        volume.view(),
        &plan,
        &mut predictor,
        |progress| {
            seen.push(progress);
            ControlFlow::<()>::Continue(())
        },
        |plane| {
            assert_eq!(plane.dim(), (1, 1, 1));
            planes += 1;
            ControlFlow::Continue(())
        },
    );
    assert!(matches!(end, Ok(ControlFlow::Continue(()))));
    assert_eq!(
        seen,
        [0, 2, 4, 5].map(|done| WindowProgress { done, total: 5 })
    );
    assert_eq!(planes, 10);

    let stopped = stitch_planes(
        volume.view(),
        &plan,
        &mut predictor,
        |progress| match progress.done {
            0 => ControlFlow::Continue(()),
            done => ControlFlow::Break(done),
        },
        |_| ControlFlow::Continue(()),
    );
    assert!(matches!(stopped, Ok(ControlFlow::Break(2))));
}

#[test]
fn tells_which_window_failed_and_what_shape_was_wrong() {
    let volume = Array4::<f32>::zeros((1, 4, 1, 1));
    let plan = constant([2, 1, 1], [0.0; 3]);
    let mut calls = 0;
    let fails_late = |patches: ArrayView5<'_, f32>| {
        calls += 1;
        if calls == 2 {
            Err(Broken)
        } else {
            Ok(patches.to_owned())
        }
    };
    let mut predictor = Predictor {
        channels: 1,
        max_batch: 1,
        answer: fails_late,
    };
    let error = stitch(volume.view(), &plan, &mut predictor).unwrap_err();
    assert_eq!(error.to_string(), "prediction fails at window 2 of 2");

    let mut predictor = Predictor {
        channels: 3,
        max_batch: 8,
        answer: |patches: ArrayView5<'_, f32>| Ok(patches.to_owned()),
    };
    let error = stitch(volume.view(), &plan, &mut predictor).unwrap_err();
    assert_eq!(
        error.to_string(),
        "predictor returns shape [2, 1, 2, 1, 1], expected [2, 3, 2, 1, 1] ([N, K, X, Y, Z])"
    );
}

#[test]
fn refuses_empty_volumes_and_predictors_and_absurd_sizes() {
    let stitched = |shape: [usize; 4], size: [usize; 3], channels: usize, max_batch: usize| {
        let answer = |patches: ArrayView5<'_, f32>| Ok(patches.to_owned());
        let mut predictor = Predictor {
            channels,
            max_batch,
            answer,
        };
        stitch(
            Array4::zeros(shape).view(),
            &constant(size, [0.0; 3]),
            &mut predictor,
        )
        .unwrap_err()
    };
    assert!(matches!(
        stitched([1, 4, 0, 4], [2; 3], 1, 1),
        StitchError::Window(_)
    ));
    assert!(matches!(
        stitched([1, 4, 4, 4], [0, 2, 2], 1, 1),
        StitchError::Window(_)
    ));
    assert!(matches!(
        stitched([0, 4, 4, 4], [2; 3], 1, 1),
        StitchError::NoChannels
    ));
    assert!(matches!(
        stitched([1, 4, 4, 4], [2; 3], 1, 0),
        StitchError::EmptyPredictor { .. }
    ));
    assert!(matches!(
        stitched([1, 4, 4, 4], [2; 3], 0, 1),
        StitchError::EmptyPredictor { .. }
    ));
    assert!(matches!(
        stitched([1, 4, 4, 4], [1 << 19; 3], 1, 1),
        StitchError::OutOfMemory { .. }
    ));
}

#[test]
fn memory_is_known_beforehand() {
    let plan = constant([32, 48, 32], [0.625; 3]);
    let bytes = inferer_bytes([1, 100, 50, 38], &plan, 3, 4).unwrap();
    // Four windows in a layer: a batch of four may lie in two layers, 12 voxels apart.
    let (planes, window) = ((32 + 12 + 1) * 50 * 38, 32 * 48 * 32);
    let values = 3 * planes + 50 * 38 + 4 * window + 4 * 3 * window + window;
    assert_eq!(bytes, 4 * values as u64);
    let alone = inferer_bytes([1, 100, 50, 38], &plan, 3, 1).unwrap();
    assert_eq!(
        bytes - alone,
        4 * (3 * 12 * 50 * 38 + 3 * 4 * window) as u64
    );
    let absurd = inferer_bytes([1, usize::MAX, usize::MAX, 1], &plan, 3, 4).unwrap();
    assert_eq!(absurd, u64::MAX);
}

fn any_plan() -> impl Strategy<Value = WindowPlan> {
    let blend = prop_oneof![
        Just(Blend::Constant),
        (0.05..0.5f64).prop_map(|sigma_scale| Blend::Gaussian { sigma_scale })
    ];
    let padding = prop_oneof![
        Just(Padding::Replicate),
        (-2.0..2.0f32).prop_map(Padding::Constant)
    ];
    (
        prop::array::uniform3(1..8usize),
        prop::array::uniform3(0.0..0.95f64),
        blend,
        padding,
    )
        .prop_map(|(size, overlap, blend, padding)| plan(size, overlap, blend, padding))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_constant_predictor_stitches_to_itself(
        shape in prop::array::uniform3(1..12usize), plan in any_plan(), max_batch in 1..6usize, value in -9.0..9.0f32,
    ) {
        let volume = Array4::zeros((1, shape[0], shape[1], shape[2]));
        let answer = |patches: ArrayView5<'_, f32>| {
            let (n, _, x, y, z) = patches.dim();
            Ok(Array5::from_elem((n, 2, x, y, z), value))
        };
        let found = stitch(volume.view(), &plan, &mut Predictor { channels: 2, max_batch, answer }).unwrap();
        prop_assert_eq!(found.dim(), (2, shape[0], shape[1], shape[2]));
        for found in found {
            prop_assert!((found - value).abs() <= 1e-5 * value.abs(), "{found}, expected {value}");
        }
    }

    #[test]
    fn an_identity_predictor_returns_the_input(
        shape in prop::array::uniform3(1..12usize), plan in any_plan(), max_batch in 1..6usize,
    ) {
        let [x, y, z] = shape;
        let volume = Array4::from_shape_fn((2, x, y, z), |(c, i, j, k)| ((c * x + i) * y + j) as f32 - k as f32);
        let mut largest = 0;
        let answer = |patches: ArrayView5<'_, f32>| {
            largest = largest.max(patches.dim().0);
            Ok(patches.to_owned())
        };
        let found = stitch(volume.view(), &plan, &mut Predictor { channels: 2, max_batch, answer }).unwrap();
        for (found, expected) in found.iter().zip(&volume) {
            prop_assert!((found - expected).abs() <= 1e-5 * expected.abs(), "{found}, expected {expected}");
        }
        prop_assert!(largest <= max_batch);
    }
}
