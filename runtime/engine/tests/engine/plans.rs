//! Members with deploy plans of their own are combined on the grid of the input, and streaming equals whole
//! probabilities bit for bit.

use std::collections::BTreeMap;

use ndarray::{Array4, Axis};
use tempfile::TempDir;
use vesal_bundle::deploy_plan::{DeployPlan, Restore};
use vesal_bundle::manifest::{EnsembleRecord, Manifest, Member, MemberProvenance, Provenance};
use vesal_bundle::probe::{Probe, ProbeRecorder};
use vesal_bundle::{Bundle, BundleWriter};
use vesal_engine::{Device, Ensemble, OnnxPredictor, Segmentation, verify};
use vesal_volume::orientation::AxisTransform;
use vesal_volume::postprocess::{Combine, ProbabilityMean, Votes};
use vesal_volume::preprocess::{Normalization, Step, execute};
use vesal_volume::window::{Blending, SlidingWindowInferer, WindowPlan};
use vesal_volume::{Affine, Volume};

use crate::example::{
    CONV_A, CONV_B, LABELS, interface, onward, options, plan, runtime, with_probabilities,
};

/// Writes a bundle of networks that each have a plan.
fn bundle(members: &[(&[u8], f64, &DeployPlan)], combine: Combine) -> (TempDir, Bundle) {
    let parent = TempDir::new().expect("temporary directory");
    let mut writer = BundleWriter::create(&parent.path().join("plans"), false).expect("created");
    let mut plans: Vec<&DeployPlan> = Vec::new();
    for (_, _, plan) in members {
        if !plans.contains(plan) {
            plans.push(plan);
        }
    }
    let mut recorders: Vec<_> = plans
        .iter()
        .map(|plan| ProbeRecorder::new(plan, combine))
        .collect();
    let mut listed = Vec::new();
    for (index, (network, weight, plan)) in members.iter().enumerate() {
        let group = plans
            .iter()
            .position(|other| other == plan)
            .expect("listed");
        let input = recorders[group].input();
        let input = ndarray::Array5::from_shape_vec(input.shape, input.values()).expect("shape");
        let logits = predictor(network, plan).logits(input.view()).expect("runs");
        let logits = logits.index_axis_move(Axis(0), 0);
        recorders[group].add(logits, *weight).expect("combines");
        let file = format!("members/{index}.onnx");
        writer.add(&file, network).expect("added");
        listed.push(Member {
            file,
            deploy_plan: format!("plans/{group}.json"),
            weight: *weight,
            provenance: MemberProvenance::ImportedMonai {
                checkpoint: "model.pt".into(),
                checkpoint_sha256: "0".repeat(64),
                epoch: None,
                best_metric: None,
            },
        });
    }
    for (group, plan) in plans.iter().enumerate() {
        let bytes = plan.to_json().expect("valid");
        writer
            .add(&format!("plans/{group}.json"), &bytes)
            .expect("added");
    }
    let probe = Probe::record(recorders).expect("labels");
    writer
        .add("probe.json", &probe.to_json().expect("JSON"))
        .expect("added");
    let bundle = writer.finish(Manifest {
        name: "plans".into(),
        version: None,
        probe: "probe.json".into(),
        network: interface(),
        members: listed,
        ensemble: EnsembleRecord {
            combine,
            ..EnsembleRecord::default()
        },
        provenance: Provenance {
            versions: BTreeMap::new(),
            data_stats_sha256: None,
        },
        files: BTreeMap::new(),
    });
    (parent, bundle.expect("written"))
}

fn predictor(network: &[u8], plan: &DeployPlan) -> OnnxPredictor {
    let options = options();
    let predictor = OnnxPredictor::new(
        runtime(),
        network.into(),
        &interface(),
        plan,
        Device::Cpu,
        &options,
    );
    predictor.expect("loads")
}

/// Logits of the whole prepared volume, with its axes permuted and flipped.
fn whole_logits(
    predictor: &mut OnnxPredictor,
    volume: &Volume,
    window: &WindowPlan,
    traversal: AxisTransform,
) -> Array4<f32> {
    let (_, x, y, z) = volume.data.dim();
    let blending = Blending::traversed([x, y, z], window, traversal).expect("windows");
    let mut inferer = SlidingWindowInferer::new(volume.data.view(), window, &blending, predictor)
        .expect("starts");
    let mut planes = Vec::new();
    while inferer.progress().done < inferer.progress().total {
        inferer.step(predictor).expect("predicts");
        planes.extend(std::iter::from_fn(|| inferer.pop()));
    }
    let views: Vec<_> = planes.iter().map(|plane| plane.view()).collect();
    ndarray::stack(Axis(1), &views).expect("planes of one shape")
}

/// The prediction of [`bundle`], from whole probabilities.
fn whole(members: &[(&[u8], f64, &DeployPlan)], combine: Combine, image: &Volume) -> Array4<f32> {
    let activation = members[0].2.activation;
    let (_, reference) =
        execute(vec![image.clone()], &members[0].2.preprocessing).expect("prepared");
    let order = reference.orientation();
    let mut mean = ProbabilityMean::new(activation);
    let mut votes = Votes::new(activation);
    let mut done: Vec<&DeployPlan> = Vec::new();
    for (network, weight, plan) in members {
        let together = combine == Combine::Mean && plan.restore == Restore::Probabilities;
        if together && done.contains(plan) {
            continue;
        }
        let group: Vec<(&[u8], f64)> = match together {
            true => members
                .iter()
                .filter(|member| member.2 == *plan)
                .map(|member| (member.0, member.1))
                .collect(),
            false => vec![(*network, *weight)],
        };
        done.push(plan);
        let (volume, transforms) =
            execute(vec![image.clone()], &plan.preprocessing).expect("prepared");
        let traversal = transforms.traversal(order.source[0], order.flip[0]);
        let transforms = transforms.traversed(traversal);
        let mut prepared = ProbabilityMean::new(activation);
        let mut total = 0.0;
        let mut restored = None;
        for (network, weight) in &group {
            let mut predictor = predictor(network, plan);
            let logits = whole_logits(&mut predictor, &volume, &plan.window, traversal);
            total += weight;
            match plan.restore {
                Restore::Probabilities => prepared.add(logits, *weight).expect("combines"),
                Restore::Logits => restored = Some(logits),
            }
        }
        let prepared = restored.unwrap_or_else(|| prepared.finish().expect("members"));
        let inverted = transforms.invert_probabilities(prepared).expect("inverted");
        let mut inverted = inverted.data;
        if plan.restore == Restore::Logits {
            activation.probabilities_in_place(inverted.view_mut());
        }
        match combine {
            Combine::Mean => mean.add_probabilities(inverted, total).expect("combines"),
            Combine::Vote => votes.add(inverted, total).expect("combines"),
        }
    }
    match combine {
        Combine::Mean => mean.finish(),
        Combine::Vote => votes.finish(),
    }
    .expect("members")
}

/// Left, posterior and superior, 14×11×9 voxels of 1.25×1×2 mm, with a border that is cropped away.
fn image() -> Volume {
    let affine = Affine::from_parts(
        [[-1.25, 0., 0.], [0., -1., 0.], [0., 0., 2.]],
        [30., -10., 5.],
    );
    let data = Array4::from_shape_fn((1, 14, 11, 9), |(_, x, y, z)| {
        let inside = (2..13).contains(&x) && (1..9).contains(&y) && (3..8).contains(&z);
        let value = ((x * 31 + y * 17 + z * 7) % 23) as f32 / 8.0 - 1.0;
        if inside { value.abs() + 0.1 } else { 0.0 }
    });
    Volume { data, affine }
}

fn resampled() -> DeployPlan {
    let crop = Step::CropForeground {
        threshold: 0.0,
        margin: 0,
    };
    let resample = Step::Resample {
        spacing: [1.5; 3],
        keep: [1.0, 1.0],
    };
    plan(vec![Step::OrientRas, crop, resample])
}

/// As Auto3DSeg's swinunetr and dints prepare CT: intensities are clipped before anything else.
fn clipped() -> DeployPlan {
    let normalize = Step::Normalize {
        channels: vec![Normalization::ClippedRange {
            low: 0.5,
            high: 1.5,
        }],
    };
    let crop = Step::CropForeground {
        threshold: 0.0,
        margin: 0,
    };
    let resample = Step::Resample {
        spacing: [1.0, 1.5, 1.5],
        keep: [1.0, 1.0],
    };
    plan(vec![normalize, crop, Step::OrientRas, resample])
}

fn as_stored() -> DeployPlan {
    let mut plan = plan(Vec::new());
    plan.window.overlap = [0.25, 0.5, 0.625];
    plan
}

fn logits_of(mut plan: DeployPlan) -> DeployPlan {
    plan.restore = Restore::Logits;
    plan
}

fn segment(bundle: &Bundle) -> (Segmentation, Array4<f32>) {
    let mut ensemble = Ensemble::open(bundle, &options()).expect("opens");
    let (found, probabilities) = with_probabilities(&mut ensemble, &image());
    (found, probabilities.data)
}

fn check(members: &[(&[u8], f64, &DeployPlan)], combine: Combine) {
    let (_directory, bundle) = bundle(members, combine);
    assert!(verify(&bundle, &options()).expect("runs").passed());
    let (found, probabilities) = segment(&bundle);
    let expected = whole(members, combine, &image());
    assert_eq!(probabilities, expected, "{combine:?}");
    let labels = members[0].2.activation.labels(expected.view(), &LABELS);
    assert_eq!(found.labels.data, labels.expect("labels"));
    assert_eq!(found.labels.affine, image().affine);
    let without = Ensemble::open(&bundle, &options())
        .expect("opens")
        .segment(vec![image()], None, &mut onward)
        .expect("segmented");
    assert_eq!(without.labels, found.labels);
}

#[test]
fn two_plans_are_combined_where_the_input_is() {
    let (first, second) = (resampled(), as_stored());
    check(
        &[(CONV_A, 2., &first), (CONV_B, 1., &second)],
        Combine::Mean,
    );
    check(
        &[(CONV_B, 1., &second), (CONV_A, 3., &first)],
        Combine::Mean,
    );
}

#[test]
fn members_that_share_a_plan_are_combined_before() {
    let (first, second) = (resampled(), as_stored());
    let members: [(&[u8], f64, &DeployPlan); 4] = [
        (CONV_A, 1., &first),
        (CONV_B, 2., &second),
        (CONV_B, 3., &first),
        (CONV_A, 1., &second),
    ];
    check(&members, Combine::Mean);
    check(&members, Combine::Vote);
}

#[test]
fn logits_become_probabilities_on_the_grid_of_the_input() {
    let (first, second) = (logits_of(resampled()), as_stored());
    check(&[(CONV_A, 1., &first)], Combine::Mean);
    check(&[(CONV_A, 1., &first), (CONV_B, 1., &first)], Combine::Mean);
    check(
        &[(CONV_A, 1., &first), (CONV_B, 2., &second)],
        Combine::Mean,
    );
    // Outside of the crop, logits are 0 and all classes equal.
    let (_directory, bundle) = bundle(&[(CONV_A, 1., &first)], Combine::Mean);
    let (_, probabilities) = segment(&bundle);
    assert_eq!(probabilities[[2, 0, 0, 0]], 1.0 / 3.0);
}

#[test]
fn intensities_may_be_clipped_before_everything_else() {
    let (first, second) = (clipped(), resampled());
    let logits = logits_of(clipped());
    check(&[(CONV_A, 1., &first)], Combine::Mean);
    check(&[(CONV_A, 1., &logits)], Combine::Mean);
    let members: [(&[u8], f64, &DeployPlan); 3] = [
        (CONV_A, 1., &second),
        (CONV_B, 2., &first),
        (CONV_A, 1., &logits),
    ];
    check(&members, Combine::Mean);
    check(&members, Combine::Vote);
}

#[test]
fn memory_of_several_plans_is_that_of_all_of_them() {
    let (first, second) = (resampled(), as_stored());
    let grids = [(image().geometry(), 1)];
    let memory = |members: &[(&[u8], f64, &DeployPlan)]| {
        let (_directory, bundle) = bundle(members, Combine::Mean);
        let ensemble = Ensemble::open(&bundle, &options()).expect("opens");
        ensemble.case_memory(&grids).expect("bounded")
    };
    let a = memory(&[(CONV_A, 1., &first)]);
    let b = memory(&[(CONV_B, 1., &second)]);
    let both = memory(&[(CONV_A, 1., &first), (CONV_B, 1., &second)]);
    assert_eq!(both.images, a.images);
    assert!(both.segment > a.segment + b.segment, "{both:?}");
    assert!(both.prepare > a.prepare.max(b.prepare), "{both:?}");
}
