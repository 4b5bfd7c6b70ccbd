//! All decisions for synthetic datasets, tasks and GPUs, compared with Auto3DSeg's segresnet2d template.

use ndarray::{Array3, Array4, Axis};
use serde_json::{Value, json};
use vesal_bundle::deploy_plan::Activation;
use vesal_network::NetworkConfig;
use vesal_trainer::algorithms::{self, Algorithm};
use vesal_trainer::analyze::stats::StatsSummary;
use vesal_trainer::augment::Patch;
use vesal_trainer::planner::PlannerOutput;
use vesal_trainer::rng::Rng;
use vesal_trainer::settings::Overrides;
use vesal_volume::preprocess::Step;

use crate::shared;
use crate::template::{self, Comparison, stats, stats_with_channels};

fn algorithm() -> &'static Algorithm {
    algorithms::find("segresnet2d").unwrap()
}

fn planned(case: &Value, stats: &StatsSummary, overrides: &Overrides) -> PlannerOutput {
    template::planned(algorithm(), case, stats, overrides)
}

/// The plans in the form of the golden file.
fn decisions(plans: &PlannerOutput, skipped: bool) -> Value {
    let (deploy, train) = (&plans.deploy, &plans.train);
    let (_, before) = deploy.preprocessing.split_last().unwrap();
    let crop = Step::CropForeground {
        threshold: 0.0,
        margin: 10,
    };
    assert_eq!(before, [Step::OrientRas, crop]);
    assert_eq!(deploy.window.overlap, [0.625, 0.625, 0.0]);
    let NetworkConfig::Segresnet2d(network) = &train.network else {
        panic!("another network")
    };
    let mut found = template::decisions(algorithm(), plans, &network.unet());
    let fields = json!({
        "skipped": skipped,
        "resample": template::decided(plans, "resample"),
        "in_channels": network.in_channels,
        "out_channels": network.out_channels,
        "sigmoid": deploy.activation == Activation::Sigmoid,
        "roi_planned": template::decided(plans, "roi_planned"),
        "norm": "BATCH",
        "dsdepth": network.dsdepth,
        "warmup_epochs": train.num_warmup_epochs,
    });
    for (name, value) in fields.as_object().unwrap() {
        found[name] = value.clone();
    }
    found
}

#[test]
fn golden_decisions_of_segresnet2d_are_exact() {
    let stats = stats();
    let mut comparison = Comparison::default();
    let mut seen = [0; 2];
    for case in shared::cases("algorithms/algos_planner.json") {
        let stats = stats_with_channels(&case, &stats);
        let plans = planned(&case, &stats, &Overrides::default());
        let skipped = (algorithm().skip)(&stats).is_some();
        seen[usize::from(skipped)] += 1;
        let expected = &case["expected"]["segresnet2d"];
        comparison.add(&case, expected, &plans, &decisions(&plans, skipped));
    }
    comparison.assert_exact();
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
