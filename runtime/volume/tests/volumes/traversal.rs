//! Predictions whose planes follow each other along another axis, or against it, are the same predictions.

use std::convert::Infallible;

use ndarray::{Array3, Array4, Array5, ArrayView4, ArrayView5, Axis, CowArray, Ix5, s};
use proptest::prelude::*;
use vesal_volume::orientation::{AxisTransform, Orientation};
use vesal_volume::preprocess::{Inverter, Normalization, Step, execute};
use vesal_volume::window::{
    Blend, Blending, Padding, PatchPredictor, SlidingWindowInferer, WindowPlan, stitch,
};

use crate::geometry_properties::{affines, orientations, shapes, volume};

/// Two channels that depend on the place in the window, so that blending matters, and on nothing symmetric.
struct Position;

impl PatchPredictor for Position {
    type Error = Infallible;

    fn max_batch(&self) -> usize {
        2
    }

    fn output_channels(&self) -> usize {
        2
    }

    fn predict(
        &mut self,
        patches: ArrayView5<'_, f32>,
    ) -> Result<CowArray<'static, f32, Ix5>, Infallible> {
        let (n, _, x, y, z) = patches.dim();
        let output = Array5::from_shape_fn((n, 2, x, y, z), |(n, c, i, j, k)| {
            patches[[n, 0, i, j, k]] * (1.0 + c as f32) + (i * 3 + j * 5 + k * 7) as f32 * 0.1
        });
        Ok(output.into())
    }
}

/// All planes of a traversed blending, `[K, X, Y, Z]` of the volume with its axes permuted and flipped.
fn traversed(
    volume: ArrayView4<'_, f32>,
    plan: &WindowPlan,
    traversal: AxisTransform,
) -> Array4<f32> {
    let (_, x, y, z) = volume.dim();
    let blending = Blending::traversed([x, y, z], plan, traversal).unwrap();
    let mut inferer = SlidingWindowInferer::new(volume, plan, &blending, &Position).unwrap();
    let mut planes: Vec<Array3<f32>> = Vec::new();
    loop {
        planes.extend(std::iter::from_fn(|| inferer.pop()));
        if inferer.progress().done == inferer.progress().total {
            break;
        }
        inferer.step(&mut Position).unwrap();
    }
    let views: Vec<_> = planes.iter().map(|plane| plane.view()).collect();
    ndarray::stack(Axis(1), &views).unwrap()
}

fn traversals() -> impl Strategy<Value = AxisTransform> {
    orientations().prop_map(|to| AxisTransform::between(Orientation::RAS, to))
}

proptest! {
    #[test]
    fn windows_lie_where_they_lie_whichever_way_they_are_taken(
        shape in prop::array::uniform3(1..12_usize), size in prop::array::uniform3(1..7_usize),
        overlap in prop::array::uniform3(0.0..0.8_f64), replicate in any::<bool>(), traversal in traversals(),
    ) {
        let plan = WindowPlan {
            size,
            overlap,
            blend: Blend::Gaussian { sigma_scale: 0.2 },
            padding: if replicate { Padding::Replicate } else { Padding::Constant(-1.0) },
        };
        let volume = volume(1, shape, vesal_volume::Affine::IDENTITY);
        let whole = stitch(volume.data.view(), &plan, &mut Position).unwrap();
        let found = traversed(volume.data.view(), &plan, traversal);
        let expected = traversal.apply_to_view(whole.view());
        prop_assert_eq!(found.dim(), expected.dim());
        for (found, expected) in found.iter().zip(expected) {
            prop_assert!((found - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{found} {expected}");
        }
        if traversal == AxisTransform::IDENTITY {
            prop_assert_eq!(found, whole);
        }
    }

    #[test]
    fn inverting_what_was_traversed_gives_the_same_probabilities(
        affine in affines(), shape in shapes(), spacing in prop::array::uniform3(0.5..3.0_f64), order in 0..6usize,
        axis in 0..3usize, reversed in any::<bool>(),
    ) {
        let resample = Step::Resample { spacing, keep: [1.0, 1.0] };
        let crop = Step::CropForeground { threshold: 5.0, margin: 1 };
        let clip = Step::Normalize { channels: vec![Normalization::ClippedRange { low: 5.0, high: 15.0 }] };
        let steps = match order {
            0 => vec![Step::OrientRas, crop, resample],
            1 => vec![crop, Step::OrientRas],
            2 => vec![Step::OrientRas, resample, crop],
            3 => vec![resample, Step::OrientRas],
            4 => vec![clip, Step::CropForeground { threshold: 0.0, margin: 0 }, Step::OrientRas, resample],
            _ => vec![],
        };
        let (_, transforms) = execute(vec![volume(1, shape, affine)], &steps).unwrap();
        let [x, y, z] = transforms.prepared.shape;
        let probabilities = Array4::from_shape_fn((2, x, y, z), |(c, x, y, z)| {
            ((c * 7 + x * 5 + y * 3 + z * 11) % 13) as f32 / 13.0
        });
        let expected = transforms.invert_probabilities(probabilities.clone()).unwrap();

        let traversal = transforms.traversal(axis, reversed);
        let turned = transforms.traversed(traversal);
        prop_assert_eq!(turned.orientation().source[0], axis);
        prop_assert_eq!(turned.orientation().flip[0], reversed);
        let planes = traversal.apply_to_view(probabilities.view()).to_owned();
        let whole = turned.invert_probabilities(planes.clone()).unwrap();
        prop_assert_eq!(whole.geometry(), expected.geometry());
        for (found, expected) in whole.data.iter().zip(&expected.data) {
            prop_assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }

        // Planes come along the axis asked for, and give the whole bit for bit.
        let mut inverter = Inverter::without_labels(&turned, 2).unwrap();
        let mut found = Array4::zeros(whole.data.raw_dim());
        let mut last: Option<usize> = None;
        let mut take = |[i, j, k]: [usize; 3], block: ArrayView4<'_, f32>| {
            let (_, x, y, z) = block.dim();
            let (at, length) = ([i, j, k][axis], [x, y, z][axis]);
            let position = if reversed { shape[axis] - at - length } else { at };
            assert!(last.is_none_or(|last| last <= position), "planes go along axis {axis}");
            last = Some(position + length);
            found.slice_mut(s![.., i..i + x, j..j + y, k..k + z]).assign(&block);
        };
        for plane in planes.axis_iter(Axis(1)) {
            inverter.push(plane.to_owned(), Some(&mut take)).unwrap();
        }
        inverter.finish(Some(&mut take)).unwrap();
        prop_assert_eq!(found, whole.data);
    }
}
