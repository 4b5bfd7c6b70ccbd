//! All decisions for synthetic datasets, tasks and GPUs, compared with Auto3DSeg's segresnet2d template.

use ndarray::{Array3, Array4, Axis};
use serde_json::{Value, json};
use vesal_bundle::DicomRules;
use vesal_bundle::deploy_plan::{Activation, Modality};
use vesal_network::NetworkConfig;
use vesal_trainer::algorithms::{self, Algorithm};
use vesal_trainer::analyze::stats::StatsSummary;
use vesal_trainer::augment::Patch;
use vesal_trainer::memory::MemorySource;
use vesal_trainer::planner::{Budget, PlannerInput, PlannerOutput};
use vesal_trainer::rng::Rng;
use vesal_trainer::settings::{CropMode, Overrides};
use vesal_trainer::task::Classes;
use vesal_volume::preprocess::{Normalization, Step};

use crate::golden_planner::{stats, stats_of, steps};
use crate::shared;

fn algorithm() -> &'static Algorithm {
    algorithms::find("segresnet2d").unwrap()
}

/// All cases; none where the file is absent.
fn cases() -> Vec<Value> {
    let Some(path) = shared::find("golden/algorithms/algos_planner.json") else {
        return Vec::new();
    };
    let mut golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let Value::Array(cases) = golden["cases"].take() else {
        panic!("no list of cases")
    };
    assert!(!cases.is_empty());
    cases
}

/// Data stats with the values of the case in place of those of `stats`.
fn stats_with_channels(case: &Value, stats: &StatsSummary) -> StatsSummary {
    let mut stats = stats_of(case, stats);
    let channels = usize::try_from(case["channels"].as_u64().unwrap()).unwrap();
    stats.image_stats.channels.max = channels;
    let foreground = &mut stats.image_foreground_stats.intensity_by_channel;
    let first = foreground[0].clone();
    foreground.resize(channels, first);
    stats
}

fn planned(case: &Value, stats: &StatsSummary, overrides: &Overrides) -> PlannerOutput {
    let task = &case["task"];
    let numbered = || {
        let names = 1..case["classes"].as_u64().unwrap();
        names.map(|class| json!(format!("class_{class}"))).collect()
    };
    let names = match &task["class_names"] {
        Value::Null => Value::Array(numbered()),
        names => names.clone(),
    };
    let names = serde_yaml_ng::to_value(names).unwrap();
    let classes = Classes::parse(names, task["sigmoid"].as_bool()).unwrap();
    let input = PlannerInput {
        name: "golden",
        modality: match task["modality"].as_str().unwrap() {
            "CT" => Modality::Ct,
            _ => Modality::Mri,
        },
        extra_modalities: &[],
        classes: &classes,
        dicom: &DicomRules::default(),
        overrides,
    };
    let budget = Budget {
        device_memory_gib: case["memory_gib"].as_f64().unwrap(),
        source: MemorySource::Set,
        host_memory_gib: None,
    };
    (algorithm().plan)(stats, &input, &budget).unwrap()
}

/// The plans in the form of the golden file.
fn decisions(plans: &PlannerOutput, skipped: bool) -> Value {
    let PlannerOutput {
        deploy,
        train,
        reasons,
    } = plans;
    let decided = |name: &str| {
        let decision = reasons.iter().find(|decision| decision.name == name);
        &decision
            .unwrap_or_else(|| panic!("{name} is decided"))
            .value
    };
    let (normalize, before) = deploy.preprocessing.split_last().unwrap();
    let Step::Normalize { channels } = normalize else {
        panic!("the last step normalizes")
    };
    let crop = Step::CropForeground {
        threshold: 0.0,
        margin: 10,
    };
    assert_eq!(before, [Step::OrientRas, crop]);
    assert_eq!(deploy.window.overlap, [0.625, 0.625, 0.0]);
    assert_eq!(deploy.window.size, train.roi_size);
    let NetworkConfig::Segresnet2d(network) = &train.network else {
        panic!("another network")
    };
    json!({
        "skipped": skipped,
        "spacing": decided("resample_resolution"),
        "resample": decided("resample"),
        "normalize_mode": match channels[0] {
            Normalization::SigmoidRange { .. } => "range",
            Normalization::ZScoreNonzero => "meanstd",
            _ => "another",
        },
        "in_channels": network.in_channels,
        "out_channels": network.out_channels,
        "sigmoid": deploy.activation == Activation::Sigmoid,
        "roi_planned": decided("roi_planned"),
        "roi": train.roi_size,
        "blocks": network.blocks_down,
        "filters": network.init_filters,
        "norm": "BATCH",
        "dsdepth": network.dsdepth,
        "images": train.num_images_per_batch,
        "crops": train.num_crops_per_image,
        "crop_mode": match train.crop_mode { CropMode::Ratio => "ratio", CropMode::Rand => "rand" },
        "epochs": train.num_epochs,
        "warmup_epochs": train.num_warmup_epochs,
        "validations": steps(&(algorithm().recipe.validations)(train)),
    })
}

#[test]
fn golden_decisions_of_segresnet2d_are_exact() {
    let stats = stats();
    let mut wrong = Vec::new();
    let mut seen = [0; 2];
    for case in cases() {
        let stats = stats_with_channels(&case, &stats);
        let plans = planned(&case, &stats, &Overrides::default());
        let skipped = (algorithm().skip)(&stats).is_some();
        seen[usize::from(skipped)] += 1;
        let mut expected = case["expected"]["segresnet2d"].clone();
        let fields = expected.as_object_mut().unwrap();
        if fields.remove("valid") == Some(false.into()) {
            // The template's network rejects its own patch; ours is rounded down to one that fits.
            fields.remove("roi");
        }
        // The template states a range even for images that are not normalized by one.
        let bounds = fields.remove("intensity_bounds").unwrap();
        if fields["normalize_mode"] == "range" {
            let stated = plans.reasons.iter();
            let stated = stated.filter(|decision| decision.name == "intensity_bounds");
            let stated: Vec<&Value> = stated.map(|decision| &decision.value).collect();
            assert!(!stated.is_empty());
            assert!(stated.iter().all(|value| **value == bounds));
        }
        let found = decisions(&plans, skipped);
        for (name, expected) in expected.as_object().unwrap() {
            if found[name] != *expected {
                wrong.push(format!("{name}: {} for {expected}; {case}", found[name]));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} decisions differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    println!(
        "{} cases planned, {} of them skipped",
        seen[0] + seen[1],
        seen[1]
    );
}

/// A dataset with thick slices.
fn thick() -> Value {
    let spacing = [0.9, 0.9, 5.0];
    json!({
        "spacing": {"median": spacing, "percentile_00_5": spacing, "percentile_10_0": spacing, "percentile_99_5": spacing},
        "sizemm": {"median": [180.0, 180.0, 150.0], "percentile_90_0": [180.0, 180.0, 150.0]},
        "n_cases": 30, "classes": 3, "channels": 1, "foreground": [-100.0, 200.0], "memory_gib": 16.0,
        "task": {"modality": "CT"}
    })
}

#[test]
fn planes_are_not_resampled_whatever_is_set() {
    let case = thick();
    let stats = stats_with_channels(&case, &stats());
    let mut overrides = Overrides::default();
    overrides.set_text("resample=true").unwrap();
    let plans = planned(&case, &stats, &overrides);
    let steps = &plans.deploy.preprocessing;
    let resampled = |step: &Step| matches!(step, Step::Resample { .. });
    assert!(!steps.iter().any(resampled), "{steps:?}");
    assert_eq!(steps[0], Step::OrientRas);
    assert_eq!(steps.len(), 3, "{steps:?}");
    let mut reasons = plans.reasons.iter();
    let resample = reasons.find(|decision| decision.name == "resample");
    assert!(resample.unwrap().because.contains("as set by you"));
    assert_eq!(plans.train.augment_flips, [0, 1]);
}

#[test]
fn thin_slices_are_skipped_and_the_reason_says_why() {
    let mut case = thick();
    let of = |case: &Value| (algorithm().skip)(&stats_with_channels(case, &stats()));
    assert_eq!(of(&case), None);
    case["spacing"]["median"] = json!([0.9, 0.9, 2.6]);
    let reason = of(&case).unwrap();
    assert!(reason.contains("2.6"), "{reason}");
}

#[test]
fn augmentation_keeps_planes_apart() {
    let case = thick();
    let stats = stats_with_channels(&case, &stats());
    let plan = planned(&case, &stats, &Overrides::default()).train;
    const PLANE: usize = 2;
    let patch = |other: f32| Patch {
        image: Array4::from_shape_fn((1, 6, 8, 5), |(_, x, y, z)| {
            (x * 7 + y * 3 + z) as f32 + if z == PLANE { other } else { 0.0 }
        }),
        classes: Array3::from_shape_fn((6, 8, 5), |(_, _, z)| z as u16),
    };
    for seed in 0..100 {
        let [one, other] = [0.0, 9.0].map(|other| {
            let mut patch = patch(other);
            (algorithm().recipe.augment)(&mut patch, &plan, &mut Rng::new(&[seed]));
            patch
        });
        assert_eq!(one.classes, patch(0.0).classes, "classes name their planes");
        for z in 0..5 {
            let plane = |patch: &Patch| patch.image.index_axis(Axis(3), z).to_owned();
            assert_eq!(
                plane(&one) == plane(&other),
                z != PLANE,
                "plane {z}, seed {seed}"
            );
        }
    }
}
