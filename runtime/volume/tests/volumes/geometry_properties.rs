//! Properties of every grid: transforms are inverse to each other, and voxels keep their world positions.

use ndarray::{Array3, Array4, ArrayView4, Axis, s};
use proptest::prelude::*;
use vesal_volume::crop::{Margins, VoxelBox, foreground_box};
use vesal_volume::orientation::{AxisTransform, Orientation, reorient_labels, reorient_volume};
use vesal_volume::postprocess::{Activation, argmax_labels};
use vesal_volume::preprocess::{Inverter, Normalization, PreprocessError, Step, cost, execute};
use vesal_volume::resample::{resample_labels, resample_volume, spaced_geometry};
use vesal_volume::{Affine, Geometry, LabelMap, Volume};

/// Rotations by up to 0.6 rad about each axis after a permutation with flips, with spacings of 0.4 to 4 mm.
pub fn affines() -> impl Strategy<Value = Affine> {
    let angles = prop::array::uniform3(-0.6..0.6_f64);
    let spacing = prop::array::uniform3(0.4..4.0_f64);
    let origin = prop::array::uniform3(-200.0..200.0_f64);
    (angles, spacing, origin, orientations()).prop_map(|(angles, spacing, origin, orientation)| {
        let mut affine = Affine::IDENTITY;
        for (axis, angle) in angles.into_iter().enumerate() {
            let (sin, cos) = angle.sin_cos();
            let [a, b] = [(axis + 1) % 3, (axis + 2) % 3];
            let mut turn = Affine::IDENTITY.0;
            (turn[a][a], turn[a][b], turn[b][a], turn[b][b]) = (cos, -sin, sin, cos);
            affine = Affine(turn).compose(&affine);
        }
        let mut axes = [[0.0; 3]; 3];
        for (axis, code) in orientation.codes().into_iter().enumerate() {
            axes[code.world_axis][axis] = if code.reversed {
                -spacing[axis]
            } else {
                spacing[axis]
            };
        }
        let turned = affine.compose(&Affine::from_parts(axes, [0.0; 3]));
        Affine::from_parts(turned.linear(), origin)
    })
}

pub fn orientations() -> impl Strategy<Value = Orientation> {
    let order = Just(vec![["R", "L"], ["A", "P"], ["S", "I"]]).prop_shuffle();
    (order, prop::array::uniform3(0..2_usize)).prop_map(|(order, side)| {
        let codes: String = (0..3).map(|axis| order[axis][side[axis]]).collect();
        codes.parse().unwrap()
    })
}

pub fn shapes() -> impl Strategy<Value = [usize; 3]> {
    prop::array::uniform3(1..9_usize)
}

pub fn volume(channels: usize, [x, y, z]: [usize; 3], affine: Affine) -> Volume {
    let data = Array4::from_shape_fn((channels, x, y, z), |(c, x, y, z)| {
        ((c * 53 + x * 31 + y * 17 + z * 7) % 29) as f32 - 9.0
    });
    Volume { data, affine }
}

fn labels(shape: [usize; 3], affine: Affine) -> LabelMap {
    let data = Array3::from_shape_fn(shape, |(x, y, z)| ((x * 31 + y * 17 + z * 7) % 5) as u16);
    LabelMap { data, affine }
}

fn close(a: &Geometry, b: &Geometry) -> bool {
    a.distance_mm(b).is_some_and(|mm| mm < 1e-6)
}

proptest! {
    #[test]
    fn reorienting_back_restores_everything(affine in affines(), shape in shapes(), to in orientations()) {
        let original = volume(2, shape, affine);
        let (turned, transform) = reorient_volume(original.clone(), to).unwrap();
        prop_assert_eq!(Orientation::of(&turned.affine).unwrap(), to);
        let back = transform.inverse().apply_to_volume(turned);
        prop_assert_eq!(&back.data, &original.data);
        prop_assert!(close(&back.geometry(), &original.geometry()));
        let original = labels(shape, affine);
        let (turned, transform) = reorient_labels(original.clone(), to).unwrap();
        prop_assert_eq!(transform.inverse().apply_to_labels(turned).data, original.data);
    }

    #[test]
    fn transforms_compose_through_any_orientation(a in orientations(), b in orientations(), affine in affines()) {
        let start = Orientation::of(&affine).unwrap();
        let original = labels([3, 4, 5], affine);
        let by_a = AxisTransform::between(start, a).apply_to_labels(original.clone());
        let by_both = AxisTransform::between(a, b).apply_to_labels(by_a);
        let straight = AxisTransform::between(start, b).apply_to_labels(original);
        prop_assert_eq!(by_both.data, straight.data);
    }

    #[test]
    fn cropping_undoes_padding(affine in affines(), shape in shapes(), least in shapes(), value in -5.0..5.0_f32) {
        let original = volume(2, shape, affine);
        let margins = Margins::to_at_least(shape, least);
        let padded = margins.pad_volume(&original, value);
        let expected: [usize; 3] = std::array::from_fn(|axis| shape[axis].max(least[axis]));
        prop_assert_eq!(padded.geometry().shape, expected);
        let back = margins.inner(shape).crop_volume(padded).unwrap();
        prop_assert_eq!(&back.data, &original.data);
        prop_assert!(close(&back.geometry(), &original.geometry()));
    }

    #[test]
    fn padding_undoes_cropping_inside_the_box(affine in affines(), shape in shapes(), cut in prop::array::uniform6(0.0..1.0_f64)) {
        let original = labels(shape, affine);
        let start: [usize; 3] = std::array::from_fn(|axis| (cut[axis] * shape[axis] as f64) as usize);
        let end = std::array::from_fn(|axis| {
            start[axis] + 1 + (cut[axis + 3] * (shape[axis] - start[axis]) as f64) as usize
        });
        let bounds = VoxelBox { start, end };
        let cropped = bounds.crop_labels(&original).unwrap();
        let back = bounds.margins(shape).unwrap().pad_labels(&cropped, 77);
        prop_assert!(close(&back.geometry(), &original.geometry()));
        for ((x, y, z), &label) in back.data.indexed_iter() {
            let inside = [x, y, z].iter().enumerate().all(|(axis, i)| (start[axis]..end[axis]).contains(i));
            prop_assert_eq!(label, if inside { original.data[[x, y, z]] } else { 77 });
        }
    }

    #[test]
    fn the_foreground_box_is_the_smallest(shape in shapes(), threshold in -12.0..22.0_f32) {
        let volume = volume(2, shape, Affine::IDENTITY);
        let above = |x: &f32| *x > threshold;
        match foreground_box(&volume, threshold, 0) {
            None => prop_assert!(!volume.data.iter().any(above)),
            Some(bounds) => {
                let cropped = bounds.crop_volume(volume.clone()).unwrap();
                let total = volume.data.iter().filter(|x| above(x)).count();
                prop_assert_eq!(cropped.data.iter().filter(|x| above(x)).count(), total);
                for axis in 1..4 {
                    for face in [0, cropped.data.shape()[axis] - 1] {
                        prop_assert!(cropped.data.index_axis(ndarray::Axis(axis), face).iter().any(above));
                    }
                }
            }
        }
    }

    #[test]
    fn resampling_onto_the_own_grid_changes_nothing(affine in affines(), shape in shapes(), more in shapes()) {
        let original = volume(2, shape, affine);
        let own = original.geometry();
        prop_assert_eq!(&resample_volume(&original, &own).unwrap(), &original);
        // A larger grid with the same start: the same voxels, and the border's beyond.
        let larger = Geometry { shape: std::array::from_fn(|axis| shape[axis] + more[axis]), ..own };
        let found = resample_volume(&original, &larger).unwrap();
        let found_labels = resample_labels(&labels(shape, affine), &larger).unwrap();
        let border = |index: usize, axis: usize| index.min(shape[axis] - 1);
        for ((c, x, y, z), &value) in found.data.indexed_iter() {
            let (x0, y0, z0) = (border(x, 0), border(y, 1), border(z, 2));
            prop_assert!((value - original.data[[c, x0, y0, z0]]).abs() < 1e-4);
            prop_assert_eq!(found_labels.data[[x, y, z]], labels(shape, affine).data[[x0, y0, z0]]);
        }
    }

    #[test]
    fn linear_functions_of_the_world_survive_resampling(affine in affines(), spacing in prop::array::uniform3(0.5..3.0_f64), slope in prop::array::uniform3(-1.0..1.0_f64)) {
        let at = |affine: &Affine, x: usize, y: usize, z: usize| {
            let world = affine.voxel_to_world([x as f64, y as f64, z as f64]);
            (0..3).map(|axis| slope[axis] * world[axis]).sum::<f64>()
        };
        let data = Array4::from_shape_fn((1, 8, 7, 6), |(_, x, y, z)| at(&affine, x, y, z) as f32);
        let original = Volume { data, affine };
        let to = spaced_geometry(&original.geometry(), spacing, [1.0, 1.0]).unwrap();
        let found = resample_volume(&original, &to).unwrap();
        let limits = affine.map_from(&to.affine).unwrap();
        for ((_, x, y, z), &value) in found.data.indexed_iter() {
            let source = limits.voxel_to_world([x as f64, y as f64, z as f64]);
            // The last voxel may lie beyond the border.
            if source[0] <= 7.0 && source[1] <= 6.0 && source[2] <= 5.0 {
                let expected = at(&found.affine, x, y, z);
                prop_assert!((f64::from(value) - expected).abs() < 1e-3, "{value} {expected}");
            }
        }
    }

    #[test]
    fn labels_picked_while_resampling_are_those_picked_after(affine in affines(), shape in shapes(), spacing in prop::array::uniform3(0.5..3.0_f64), keep in prop::bool::ANY) {
        let keep = if keep { [0.7, 1.4] } else { [1.0, 1.0] };
        let steps = [
            Step::OrientRas,
            Step::CropForeground { threshold: 5.0, margin: 1 },
            Step::Resample { spacing, keep },
            Step::Normalize { channels: vec![Normalization::ZScoreNonzero] },
        ];
        let original = volume(1, shape, affine);
        let (prepared, transforms) = execute(vec![original.clone()], &steps).unwrap();
        prop_assert_eq!(prepared.geometry(), transforms.prepared);
        let [x, y, z] = transforms.prepared.shape;
        let probabilities = Array4::from_shape_fn((3, x, y, z), |(c, x, y, z)| {
            ((c * 7 + x * 5 + y * 3 + z * 11) % 13) as f32 / 13.0
        });
        let picked = transforms.invert_to_labels(probabilities.view(), Activation::Softmax, &[4, 5, 6]).unwrap();
        let inverted = transforms.invert_probabilities(probabilities).unwrap();
        prop_assert_eq!(inverted.geometry(), original.geometry());
        prop_assert_eq!(picked.geometry(), original.geometry());
        prop_assert_eq!(picked.data, argmax_labels(inverted.data.view(), &[4, 5, 6]).unwrap());
    }

    #[test]
    fn planes_are_restored_to_what_the_whole_gives(
        affine in affines(), shape in shapes(), spacing in prop::array::uniform3(0.5..3.0_f64), order in 0..7usize, regions in prop::bool::ANY,
        at_once in 1..5usize,
    ) {
        let resample = Step::Resample { spacing, keep: [1.0, 1.0] };
        let crop = Step::CropForeground { threshold: 5.0, margin: 1 };
        let normalize = Step::Normalize { channels: vec![Normalization::ZScoreNonzero] };
        let clip = Step::Normalize { channels: vec![Normalization::ClippedRange { low: 5.0, high: 15.0 }] };
        let steps = match order {
            0 => vec![Step::OrientRas, crop, resample, normalize],
            1 => vec![Step::OrientRas, resample],
            2 => vec![crop, Step::OrientRas, normalize],
            3 => vec![Step::OrientRas, resample, crop],
            4 => vec![resample, Step::OrientRas],
            5 => vec![clip, Step::CropForeground { threshold: 0.0, margin: 0 }, Step::OrientRas, resample],
            _ => vec![],
        };
        let (_, transforms) = execute(vec![volume(1, shape, affine)], &steps).unwrap();
        let [x, y, z] = transforms.prepared.shape;
        let probabilities = Array4::from_shape_fn((3, x, y, z), |(c, x, y, z)| {
            ((c * 7 + x * 5 + y * 3 + z * 11) % 13) as f32 / 13.0
        });
        let activation = if regions { Activation::Sigmoid } else { Activation::Softmax };
        let values = [1, 2, 4];
        let labels = transforms.invert_to_labels(probabilities.view(), activation, &values).unwrap();
        let whole = transforms.invert_probabilities(probabilities.clone()).unwrap();

        let mut found = Array4::zeros(whole.data.raw_dim());
        let mut last = None;
        let axis = transforms.orientation().source[0];
        let gathered = matches!(order, 3 | 4);
        let mut take = |[i, j, k]: [usize; 3], block: ArrayView4<'_, f32>| {
            let (_, x, y, z) = block.dim();
            if !gathered {
                let at = [i, j, k][axis];
                assert!(last.is_none_or(|last: usize| last != at), "planes follow each other along axis {axis}");
                last = Some(at);
            }
            found.slice_mut(s![.., i..i + x, j..j + y, k..k + z]).assign(&block);
        };
        let mut inverter = Inverter::new(&transforms, activation, &values).unwrap();
        let planes: Vec<_> = probabilities.axis_iter(Axis(1)).map(|plane| plane.to_owned()).collect();
        for planes in planes.chunks(at_once) {
            inverter.push_all(planes.to_vec(), Some(&mut take)).unwrap();
        }
        let surplus = inverter.push(Array3::zeros((3, y, z)), None);
        let refused = matches!(surplus, Err(PreprocessError::PredictionShape { .. }));
        prop_assert!(refused);
        prop_assert_eq!(inverter.finish(Some(&mut take)).unwrap(), labels);
        prop_assert_eq!(found, whole.data);
    }

    #[test]
    fn planes_that_are_missing_or_no_numbers_are_refused(affine in affines(), spacing in 0.5..3.0_f64) {
        let steps = [Step::OrientRas, Step::Resample { spacing: [spacing; 3], keep: [1.0, 1.0] }];
        let (_, transforms) = execute(vec![volume(1, [6, 7, 8], affine)], &steps).unwrap();
        let [x, y, z] = transforms.prepared.shape;
        let inverter = Inverter::new(&transforms, Activation::Softmax, &[0, 1]).unwrap();
        let missing = inverter.finish(None);
        let refused = matches!(missing, Err(PreprocessError::PredictionShape { .. }));
        prop_assert!(refused);
        let mut inverter = Inverter::new(&transforms, Activation::Softmax, &[0, 1]).unwrap();
        let nan = (0..x).try_for_each(|_| inverter.push(Array3::from_elem((2, y, z), f32::NAN), None));
        let end = nan.and_then(|()| inverter.finish(None).map(|_| ()));
        let refused = matches!(end, Err(PreprocessError::Labeling(_)));
        prop_assert!(refused, "{end:?}");
    }

    #[test]
    fn several_planes_are_labeled_only_if_all_are_numbers(affine in affines(), bad in 1..4usize) {
        let (_, transforms) = execute(vec![volume(1, [5, 3, 2], affine)], &[]).unwrap();
        let mut inverter = Inverter::new(&transforms, Activation::Softmax, &[0, 1]).unwrap();
        inverter.push(Array3::zeros((2, 3, 2)), None).unwrap();
        let mut planes = vec![Array3::zeros((2, 3, 2)); 3];
        planes[bad - 1][[1, 2, 0]] = f32::NAN;
        let error = inverter.push_all(planes, None);
        let expected = vesal_volume::postprocess::LabelingError::NotANumber { class: 1, voxel: [bad, 2, 0] };
        prop_assert!(matches!(&error, Err(PreprocessError::Labeling(found)) if *found == expected), "{error:?}");
        let surplus = inverter.push_all(vec![Array3::zeros((2, 3, 2)); 5], None);
        let refused = matches!(surplus, Err(PreprocessError::PredictionShape { .. }));
        prop_assert!(refused);
    }

    #[test]
    fn no_crop_makes_a_prepared_grid_larger_than_foretold(affine in affines(), shear in -0.2..0.2_f64, spacing in prop::array::uniform3(prop_oneof![Just(0.75), Just(1.0), Just(1.5), 0.3..3.0_f64]), straight in any::<bool>(), shape in shapes(), threshold in -12.0..20.0_f32, keep in any::<bool>()) {
        let keep = if keep { [0.7, 1.4] } else { [1.0, 1.0] };
        // Halves of voxels round either way where nothing is oblique.
        let mut affine = if straight { Affine::from_spacing([0.75, 1.5, 0.5]) } else { affine };
        if !straight {
            affine.0[0][1] += shear;
        }
        let steps = [
            Step::CropForeground { threshold, margin: 0 },
            Step::Resample { spacing, keep },
            Step::OrientRas,
            Step::Resample { spacing: [1.0; 3], keep: [0.5, 2.0] },
        ];
        let original = volume(2, shape, affine);
        let foretold = cost(&[(original.geometry(), 2)], &steps).unwrap();
        let (prepared, _) = execute(vec![original], &steps).unwrap();
        let shape = prepared.geometry().shape;
        prop_assert!((0..3).all(|axis| shape[axis] <= foretold.shape[axis]), "{:?} {:?}", shape, foretold);
        prop_assert!(prepared.data.len() as u64 * 4 <= foretold.bytes);
    }

    #[test]
    fn labels_come_back_where_nothing_was_resampled(affine in affines(), shape in shapes()) {
        let steps = [Step::OrientRas, Step::CropForeground { threshold: 5.0, margin: 0 }];
        let (_, transforms) = execute(vec![volume(1, shape, affine)], &steps).unwrap();
        let original = labels(shape, affine);
        let prepared = transforms.prepare_labels(&original).unwrap();
        prop_assert_eq!(prepared.geometry(), transforms.prepared);
        let back = transforms.invert_labels(prepared.data.clone()).unwrap();
        prop_assert_eq!(back.geometry(), original.geometry());
        let kept = back.data.iter().zip(&original.data).filter(|(a, b)| **b != 0 && a == b).count();
        let in_box = prepared.data.iter().filter(|label| **label != 0).count();
        prop_assert_eq!(kept, in_box);
        for (found, expected) in back.data.iter().zip(&original.data) {
            prop_assert!(*found == 0 || found == expected);
        }
    }
}
