//! Segmenting volumes with networks whose outputs are computed in the test.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::comparison::largest_difference;
use crate::example::{
    self, CLASSES_A, CLASSES_B, CONV_A, CONV_B, LABELS, bundle, direct, onward, options, plan,
    ramp, with_probabilities,
};
use ndarray::Array3;
use vesal_engine::{
    Device, EngineError, EngineOptions, Ensemble, OnnxPredictor, PredictorError, Stage,
};
use vesal_volume::postprocess::{Combination, Combine, argmax_labels};
use vesal_volume::preprocess::{Normalization, Step, execute};
use vesal_volume::window::{StitchError, stitch};
use vesal_volume::{Affine, Volume};

fn identical(found: &Array3<u16>, expected: &Array3<u16>) -> f64 {
    assert_eq!(found.dim(), expected.dim());
    let same = found
        .iter()
        .zip(expected)
        .filter(|(found, expected)| found == expected)
        .count();
    same as f64 / found.len() as f64
}

#[test]
fn an_ensemble_gives_the_weighted_mean_of_probabilities() {
    let plan = plan(Vec::new());
    let (_directory, bundle) = bundle(&plan, &[(CONV_A, 2.), (CONV_B, 1.)]);
    let mut ensemble = Ensemble::open(&bundle, &options()).expect("opens");
    for shape in [[13, 9, 7], [8, 6, 4], [3, 20, 2], [1, 1, 1]] {
        let volume = ramp(shape, Affine::from_spacing([1., 2., 3.]));
        let expected = direct(&volume, &[(&CLASSES_A, 2.), (&CLASSES_B, 1.)]);
        let (found, probabilities) = with_probabilities(&mut ensemble, &volume);
        let difference = largest_difference(probabilities.data.view(), expected.view());
        assert!(difference < 1e-5, "{shape:?}: {difference}");
        let labels = argmax_labels(expected.view(), &LABELS).expect("finite");
        assert!(identical(&found.labels.data, &labels) > 0.999, "{shape:?}");
        assert_eq!(found.labels.geometry(), volume.geometry());
        assert_eq!(probabilities.geometry(), volume.geometry());
    }
}

#[test]
fn a_vote_gives_what_most_weight_is_for_and_of_equals_the_lower_class() {
    let plan = plan(Vec::new());
    let volume = ramp([13, 9, 7], Affine::IDENTITY);
    let [of_a, of_b] = [CLASSES_A, CLASSES_B].map(|classes| {
        argmax_labels(direct(&volume, &[(&classes, 1.)]).view(), &[0, 1, 2]).expect("finite")
    });
    for (weights, expected) in [
        ([2., 1.], of_a.mapv(|class| LABELS[usize::from(class)])),
        (
            [1., 1.],
            ndarray::Zip::from(&of_a)
                .and(&of_b)
                .map_collect(|&a, &b| LABELS[usize::from(a.min(b))]),
        ),
    ] {
        let networks: [(&[u8], f64); 2] = [(CONV_A, weights[0]), (CONV_B, weights[1])];
        let ensemble = Ensemble::from_networks(&plan, &example::interface(), &networks, &options())
            .expect("loads");
        let (found, shares) = with_probabilities(&mut ensemble.combining(Combine::Vote), &volume);
        assert!(identical(&found.labels.data, &expected) > 0.999);
        let total = shares.data.sum_axis(ndarray::Axis(0));
        assert!(total.iter().all(|total| (total - 1.).abs() < 1e-6));
    }
}

#[test]
fn all_three_labels_occur_so_that_the_comparison_means_something() {
    let expected = direct(
        &ramp([13, 9, 7], Affine::IDENTITY),
        &[(&CLASSES_A, 2.), (&CLASSES_B, 1.)],
    );
    let labels = argmax_labels(expected.view(), &LABELS).expect("finite");
    for label in LABELS {
        assert!(
            labels.iter().filter(|found| **found == label).count() > 20,
            "{label}"
        );
    }
}

#[test]
fn a_member_is_loaded_once_and_batches_change_nothing() {
    let plan = plan(Vec::new());
    let (_directory, bundle) = bundle(&plan, &[(CONV_A, 1.)]);
    let volume = ramp([21, 13, 9], Affine::IDENTITY);
    let mut results = Vec::new();
    for batch in [1, 3, 64] {
        let options = EngineOptions {
            batch: NonZeroUsize::new(batch),
            threads: NonZeroUsize::new(1),
            ..options()
        };
        let mut ensemble = Ensemble::open(&bundle, &options).expect("opens");
        // The files may be removed once the networks are loaded.
        let (first, probabilities) = with_probabilities(&mut ensemble, &volume);
        let again = ensemble
            .segment(vec![volume.clone()], None, &mut onward)
            .expect("segmented");
        assert_eq!(first.labels, again.labels);
        results.push((first.labels, probabilities, first.windows));
    }
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
    assert!(results[0].2 > 20, "{}", results[0].2);
}

#[test]
fn labels_come_back_to_the_grid_of_the_input() {
    let normalize = Step::Normalize {
        channels: vec![Normalization::Identity],
    };
    let plan = plan(vec![Step::OrientRas, normalize]);
    let (_directory, bundle) = bundle(&plan, &[(CONV_A, 1.)]);
    let mut ensemble = Ensemble::open(&bundle, &options()).expect("opens");
    // Axes run to the inferior, the left and the anterior.
    let affine = Affine([
        [0., -2., 0., 40.],
        [0., 0., 1.5, -7.],
        [-3., 0., 0., 90.],
        [0., 0., 0., 1.],
    ]);
    let volume = ramp([13, 9, 7], affine);
    let labels =
        argmax_labels(direct(&volume, &[(&CLASSES_A, 1.)]).view(), &LABELS).expect("finite");
    let found = ensemble
        .segment(vec![volume.clone()], None, &mut onward)
        .expect("segmented");
    assert_eq!(found.labels.geometry(), volume.geometry());
    assert!(identical(&found.labels.data, &labels) > 0.999);
}

#[test]
fn cropped_and_resampled_cases_come_back_too() {
    let plan = plan(vec![
        Step::OrientRas,
        Step::CropForeground {
            threshold: 0.25,
            margin: 1,
        },
        Step::Resample {
            spacing: [1., 1., 1.],
            keep: [1., 1.],
        },
    ]);
    let (_directory, bundle) = bundle(&plan, &[(CONV_A, 1.)]);
    let mut ensemble = Ensemble::open(&bundle, &options()).expect("opens");
    // A smooth bump, on voxels of half a millimeter.
    let (x, y, z) = (30, 26, 22);
    let data = ndarray::Array4::from_shape_fn((1, x, y, z), |(_, i, j, k)| {
        let distance =
            (i as f32 - 15.).powi(2) + (j as f32 - 13.).powi(2) + (k as f32 - 11.).powi(2);
        (3. - distance / 25.).max(0.)
    });
    let volume = Volume {
        data,
        affine: Affine::from_spacing([0.5; 3]),
    };
    let labels =
        argmax_labels(direct(&volume, &[(&CLASSES_A, 1.)]).view(), &LABELS).expect("finite");
    let (found, probabilities) = with_probabilities(&mut ensemble, &volume);
    assert_eq!(found.labels.geometry(), volume.geometry());
    assert!(identical(&found.labels.data, &labels) > 0.98);
    assert!(labels.iter().any(|label| *label == 2));
    let from_probabilities = argmax_labels(probabilities.data.view(), &LABELS).expect("finite");
    assert_eq!(
        from_probabilities, found.labels.data,
        "labels are the most probable classes"
    );
}

#[test]
fn streaming_gives_bit_for_bit_what_the_whole_gives() {
    let plan = plan(vec![
        Step::OrientRas,
        Step::CropForeground {
            threshold: -1.5,
            margin: 1,
        },
        Step::Resample {
            spacing: [0.8, 1.1, 1.3],
            keep: [1., 1.],
        },
    ]);
    let members = [(CONV_A, 2.), (CONV_B, 1.)];
    let (_directory, bundle) = bundle(&plan, &members);
    let mut ensemble = Ensemble::open(&bundle, &options()).expect("opens");
    let volume = ramp([23, 14, 9], Affine::from_spacing([-1., 1.2, 2.]));
    let (found, probabilities) = with_probabilities(&mut ensemble, &volume);

    let (prepared, transforms) = execute(vec![volume], &plan.preprocessing).expect("prepared");
    let mut combination = Combination::new(Combine::Mean, plan.activation);
    for (network, weight) in members {
        let mut predictor = OnnxPredictor::new(
            example::runtime(),
            network.into(),
            &example::interface(),
            &plan,
            Device::Cpu,
            &options(),
        )
        .expect("loads");
        let logits = stitch(prepared.data.view(), &plan.window, &mut predictor).expect("stitched");
        combination.add(logits, weight).expect("of one shape");
    }
    let whole = combination.finish().expect("two members");
    let labels = transforms.invert_to_labels(whole.view(), plan.activation, &LABELS);
    assert_eq!(found.labels, labels.expect("finite"));
    let whole = transforms
        .invert_probabilities(whole)
        .expect("of its shape");
    assert_eq!(probabilities, whole);
}

#[test]
fn progress_names_every_stage_and_can_stop_each() {
    let plan = plan(Vec::new());
    let (_directory, bundle) = bundle(&plan, &[(CONV_A, 1.), (CONV_B, 1.)]);
    let mut ensemble = Ensemble::open(&bundle, &options()).expect("opens");
    let volume = ramp([13, 9, 7], Affine::IDENTITY);
    let mut stages = Vec::new();
    let found = ensemble
        .segment(vec![volume.clone()], None, &mut |stage| {
            stages.push(stage);
            ControlFlow::Continue(())
        })
        .expect("segmented");
    let total_windows = 2 * found.windows;
    let network = |windows| Stage::Network {
        windows,
        total_windows,
    };
    assert_eq!(stages.first(), Some(&Stage::Prepare));
    assert_eq!(stages.last(), Some(&network(total_windows)));
    for stage in [network(0), network(1), network(found.windows)] {
        assert!(stages.contains(&stage), "{stage:?}");
    }
    for stop in [
        Stage::Prepare,
        network(0),
        network(2),
        network(total_windows),
    ] {
        let error = ensemble
            .segment(vec![volume.clone()], None, &mut |stage| {
                if stage == stop {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .expect_err("stopped");
        assert!(matches!(error, EngineError::Stopped), "{error:?}");
    }
}

#[test]
fn a_case_with_other_channels_is_refused_by_name() {
    let plan = plan(Vec::new());
    let (_directory, bundle) = bundle(&plan, &[(CONV_A, 1.)]);
    let mut ensemble = Ensemble::open(&bundle, &options()).expect("opens");
    let volume = Volume {
        data: ndarray::Array4::zeros((2, 8, 8, 8)),
        affine: Affine::IDENTITY,
    };
    let error = ensemble
        .segment(vec![volume], None, &mut onward)
        .expect_err("two channels");
    assert_eq!(
        error.to_string(),
        "the case has 2 channels, the bundle expects 1 (image)"
    );
    let volume = Volume {
        data: ndarray::Array4::from_elem((1, 8, 8, 8), f32::NAN),
        affine: Affine::IDENTITY,
    };
    let error = ensemble
        .segment(vec![volume], None, &mut onward)
        .expect_err("not finite");
    assert!(matches!(error, EngineError::Preprocess(_)), "{error:?}");
}

#[test]
fn an_overflowing_network_is_an_error_and_no_background() {
    let plan = plan(Vec::new());
    let overflow = include_bytes!("../fixtures/overflow.onnx");
    let networks: [(&[u8], f64); 1] = [(overflow, 1.)];
    let mut ensemble = Ensemble::from_networks(&plan, &example::interface(), &networks, &options())
        .expect("loads");
    let volume = Volume {
        data: ndarray::Array4::from_elem((1, 8, 6, 4), 1e10),
        affine: Affine::IDENTITY,
    };
    let error = ensemble
        .segment(vec![volume], None, &mut onward)
        .expect_err("overflows");
    let EngineError::Predict {
        member: 0,
        source: StitchError::Predict { source, .. },
    } = error
    else {
        panic!("{error:?}")
    };
    assert!(
        matches!(source, PredictorError::NotFinite { values: 72 }),
        "{source:?}"
    );
}

#[test]
fn an_explicit_gpu_never_falls_back() {
    let plan = plan(Vec::new());
    let (_directory, bundle) = bundle(&plan, &[(CONV_A, 1.)]);
    for index in [0, 15, u32::MAX] {
        let options = EngineOptions {
            device: Device::Cuda(index),
            ..options()
        };
        match Ensemble::open(&bundle, &options) {
            Ok(ensemble) => assert_eq!(ensemble.device(), Device::Cuda(index)),
            Err(error) => {
                let EngineError::Member {
                    member: 0,
                    source: PredictorError::Device(_),
                } = &error
                else {
                    panic!("{error:?}")
                };
                assert!(error.hint().is_some());
            }
        }
    }
}

#[test]
fn only_auto_falls_back_and_says_so() {
    let plan = plan(Vec::new());
    let (_directory, bundle) = bundle(&plan, &[(CONV_A, 1.)]);
    let options = EngineOptions {
        device: Device::Auto,
        ..options()
    };
    let ensemble = Ensemble::open(&bundle, &options).expect("opens");
    match ensemble.device() {
        Device::Cpu => assert!(matches!(
            ensemble.fallback(),
            Some(PredictorError::Device(_))
        )),
        device => {
            assert_eq!(device, Device::Cuda(0));
            assert!(ensemble.fallback().is_none());
        }
    }
}
