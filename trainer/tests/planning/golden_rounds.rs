//! All decisions for synthetic datasets, tasks and GPUs, compared with Auto3DSeg's swinunetr and dints templates.

use serde_json::{Value, json};
use vesal_bundle::DicomRules;
use vesal_bundle::deploy_plan::{Activation, Modality, Restore};
use vesal_network::{DintsArchitecture, NetworkConfig, PatchMerging};
use vesal_trainer::algorithms::dints::DINTS;
use vesal_trainer::algorithms::swinunetr::SWINUNETR;
use vesal_trainer::algorithms::{Algorithm, EarlyStopping};
use vesal_trainer::analyze::stats::StatsSummary;
use vesal_trainer::planner::{Budget, PlannerInput, PlannerOutput};
use vesal_trainer::settings::{CropMode, Overrides};
use vesal_trainer::task::Classes;
use vesal_volume::preprocess::{Normalization, Step};

use crate::shared;
use crate::template::{self, decided, stats, stats_with_channels, steps, three};

/// Data stats with the values of the case in place of those of `stats`.
fn stats_with_shapes(case: &Value, stats: &StatsSummary) -> StatsSummary {
    let mut stats = stats_with_channels(case, stats);
    let shape = &mut stats.image_stats.shape;
    shape.max = serde_json::from_value(case["shape"]["max"].clone()).unwrap();
    shape.mean = three(&case["shape"]["mean"]);
    stats
}

/// The plans for the memory that is free on the case's GPU.
fn planned(
    algorithm: &Algorithm,
    case: &Value,
    stats: &StatsSummary,
    settings: &[&str],
) -> PlannerOutput {
    let mut case = case.clone();
    case["memory_gib"] = case["free_gib"].clone();
    let mut overrides = Overrides::default();
    for text in settings {
        overrides.set_text(text).unwrap();
    }
    let stats = stats_with_shapes(&case, stats);
    template::planned(algorithm, &case, &stats, &overrides)
}

/// What the steps of preprocessing are in the golden file's words: normalization, bounds and spacing.
fn preprocessing(steps: &[Step]) -> (Value, Value, Value) {
    let [Step::Normalize { channels }, geometry @ ..] = steps else {
        panic!("{steps:?}: normalized first")
    };
    let (crop, geometry): (&[Step], _) = match geometry {
        [crop @ Step::CropForeground { .. }, geometry @ ..] => {
            (std::slice::from_ref(crop), geometry)
        }
        geometry => (&[], geometry),
    };
    let [
        Step::OrientRas,
        Step::Resample {
            spacing,
            keep: [1.0, 1.0],
        },
    ] = geometry
    else {
        panic!("{steps:?}: oriented, then resampled on every axis")
    };
    let whole = Step::CropForeground {
        threshold: 0.0,
        margin: 0,
    };
    let bounds: Vec<[f64; 2]> = channels
        .iter()
        .filter_map(|channel| match channel {
            Normalization::ClippedRange { low, high } => Some([(*low).into(), (*high).into()]),
            Normalization::ZScoreNonzero => None,
            other => panic!("{other:?}"),
        })
        .collect();
    let (names, bounds) = match bounds.first() {
        None => (vec!["NormalizeIntensityd"], Value::Null),
        Some(bounds) => (
            vec!["ScaleIntensityRanged", "CropForegroundd"],
            json!(bounds),
        ),
    };
    let expected: &[Step] = if bounds.is_null() { &[] } else { &[whole] };
    assert_eq!(crop, expected);
    (json!(names), bounds, json!(spacing))
}

/// The plans in the form of the golden file, less what a schedule states.
fn decisions(plans: &PlannerOutput) -> Value {
    let (deploy, train) = (&plans.deploy, &plans.train);
    let (normalization, bounds, spacing) = preprocessing(&deploy.preprocessing);
    assert_eq!(train.crop_mode, CropMode::Ratio);
    assert_eq!(train.clip_grad_norm, Some(0.5));
    // Patches of two cases are mixed; a step has those of one.
    assert_eq!(train.num_images_per_batch, 1);
    json!({
        "roi": train.roi_size,
        "roi_valid": deploy.window.size,
        "spacing": spacing,
        "normalization": normalization,
        "bounds": bounds,
        "in_channels": train.network.in_channels(),
        "out_channels": train.network.out_channels(),
        "softmax": deploy.activation == Activation::Softmax,
        "crops": train.num_crops_per_image * train.num_steps_per_image,
        "patches": train.num_crops_per_image,
        "epochs": train.num_epochs,
        "epochs_per_round": train.epochs_per_round,
        "rounds": train.rounds(),
        "total_rounds": train.rounds() + 1,
        "learning_rate": train.learning_rate,
    })
}

/// Compares every decision of the golden cases, and learning rates and validated rounds.
fn compare(algorithm: &'static Algorithm) {
    let recipe = &algorithm.recipe;
    let EarlyStopping::Patience(patience) = recipe.early_stopping else {
        panic!("another rule")
    };
    let stats = stats();
    let mut differences = Vec::new();
    let (mut rates, mut fewer) = (0, 0);
    for (index, case) in shared::cases("algorithms/algos_planner.json")
        .iter()
        .enumerate()
    {
        let mut plans = planned(algorithm, case, &stats, &[]);
        let ruled = decided(&plans, "num_patches_per_iter").as_u64().unwrap();
        if ruled != plans.train.num_crops_per_image as u64 {
            // They do not fit by estimate, so that fewer are planned; everything else follows from as many as the rule gives.
            assert!((1..ruled).contains(&(plans.train.num_crops_per_image as u64)));
            plans = planned(
                algorithm,
                case,
                &stats,
                &[&format!("num_images_per_batch={ruled}")],
            );
            fewer += 1;
        }
        let train = &plans.train;
        let expected = &case["expected"][algorithm.name];
        let mut found = decisions(&plans);
        let of_round = train.epochs_per_round;
        let validated = (recipe.validations)(train);
        assert!(validated.iter().all(|epoch| epoch % of_round == 0));
        let validated: Vec<usize> = validated.iter().map(|epoch| epoch / of_round).collect();
        found["validated_rounds"] = json!(steps(&validated));
        found["warmup_rounds"] = json!(train.num_warmup_epochs / of_round);
        found["patience"] = json!(patience);
        found["images_loaded"] = json!(recipe.mixed_cases);
        // Of validation and prediction; here, both are those of prediction.
        found["overlap"] = json!([0.125, plans.deploy.window.overlap[0]]);
        for (name, expected) in expected.as_object().unwrap() {
            let same = match name.as_str() {
                "lr" => expected
                    .as_object()
                    .unwrap()
                    .iter()
                    .all(|(round, expected)| {
                        rates += 1;
                        let epoch = round.parse::<usize>().unwrap() * of_round;
                        let found =
                            train.learning_rate * (recipe.learning_rate_factor)(epoch, train);
                        (found - expected.as_f64().unwrap()).abs() <= 1e-9
                    }),
                // The runtime chooses how many windows it predicts at once.
                "sw_batch" => true,
                "bounds" if expected.is_array() => (0..2).all(|end| {
                    let found = found[name][end].as_f64().unwrap();
                    found as f32 == expected[end].as_f64().unwrap() as f32
                }),
                _ => found[name] == *expected,
            };
            if !same {
                differences.push(format!(
                    "case {index}: {name} is {} for {expected}",
                    found[name]
                ));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} decisions differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(fewer <= 2, "{fewer} plans have fewer patches than by rule");
    println!(
        "{}: {rates} learning rates, {fewer} plans of fewer patches",
        algorithm.name
    );
}

#[test]
fn golden_decisions_of_swinunetr_are_exact() {
    compare(&SWINUNETR);
}

#[test]
fn golden_decisions_of_dints_are_exact() {
    compare(&DINTS);
}

/// A CT dataset for a GPU of 24 GiB.
fn case() -> Value {
    let spacing = [0.8, 0.8, 2.5];
    json!({
        "spacing": {"median": spacing, "percentile_00_5": spacing, "percentile_10_0": spacing, "percentile_99_5": spacing},
        "sizemm": {"median": [180.0, 180.0, 150.0], "percentile_90_0": [180.0, 180.0, 150.0]},
        "shape": {"max": [225, 225, 60], "mean": [225.0, 225.0, 60.0]},
        "n_cases": 30, "classes": 3, "channels": 2, "foreground": [-100.0, 200.0], "free_gib": 24.0,
        "task": {"modality": "CT"}
    })
}

#[test]
fn plans_state_network_and_what_is_restored() {
    let stats = stats();
    let swinunetr = planned(&SWINUNETR, &case(), &stats, &[]);
    assert_eq!(swinunetr.deploy.restore, Restore::Probabilities);
    assert_eq!(swinunetr.train.roi_size, [96, 96, 64]);
    assert_eq!(swinunetr.train.augment_rots, [[0, 1]]);
    assert_eq!(
        (swinunetr.train.learning_rate, swinunetr.train.weight_decay),
        (4e-4, 1e-5)
    );
    let NetworkConfig::Swinunetr(network) = &swinunetr.train.network else {
        panic!("another network")
    };
    assert_eq!(
        (
            network.in_channels,
            network.out_channels,
            network.feature_size
        ),
        (2, 3, 48)
    );
    assert_eq!(network.patch_merging, PatchMerging::Monai15);
    let dints = planned(&DINTS, &case(), &stats, &[]);
    assert_eq!(dints.deploy.restore, Restore::Logits);
    assert_eq!(dints.train.roi_size, [96, 96, 32]);
    assert!(dints.train.augment_rots.is_empty());
    assert_eq!(
        (dints.train.learning_rate, dints.train.weight_decay),
        (0.2, 4e-5)
    );
    let NetworkConfig::Dints(network) = &dints.train.network else {
        panic!("another network")
    };
    assert_eq!(
        (network.filters, &network.architecture),
        (32, &DintsArchitecture::default())
    );
}

#[test]
fn settings_are_kept_and_dependents_follow() {
    let stats = stats();
    let plan = |settings: &[&str]| planned(&DINTS, &case(), &stats, settings);
    let rule = plan(&[]).train;
    let fewer = plan(&["num_images_per_batch=1"]).train;
    assert_eq!(
        (fewer.num_images_per_batch, fewer.num_crops_per_image),
        (1, 1)
    );
    assert_eq!(fewer.num_epochs, rule.num_epochs * rule.num_crops_per_image);
    let both = plan(&["num_images_per_batch=2", "num_crops_per_image=3"]).train;
    assert_eq!(
        (both.num_images_per_batch, both.num_crops_per_image),
        (2, 3)
    );
    let short = plan(&["num_epochs=1"]).train;
    assert_eq!(
        (short.epochs_per_round, short.rounds()),
        (1, 1),
        "a round is at most all epochs"
    );
    let small = plan(&["auto_scale_batch=false"]).train;
    assert!(
        small.num_crops_per_image < rule.num_crops_per_image,
        "planned for 16 GiB"
    );
    let stored = plan(&["resample=false", "normalize_mode=meanstd"]);
    let normalize = Step::Normalize {
        channels: vec![Normalization::ZScoreNonzero; 2],
    };
    assert_eq!(stored.deploy.preprocessing, [normalize, Step::OrientRas]);
    let spacing = plan(&["resample_mode=median"]);
    assert_eq!(
        *decided(&spacing, "resample_resolution"),
        json!([0.8, 0.8, 2.5])
    );
    assert_eq!(
        *decided(&plan(&[]), "resample_resolution"),
        json!([1.0, 1.0, 1.0])
    );
    assert_eq!(plan(&["learning_rate=0.1"]).train.learning_rate, 0.1);
    assert!(
        plan(&["early_stopping_fraction=0"])
            .train
            .early_stopping_fraction
            == 0.0
    );
}

#[test]
fn settings_of_other_algorithms_are_told() {
    let plans = planned(
        &SWINUNETR,
        &case(),
        &stats(),
        &["network#blocks_down=[1, 2]", "auto_scale_roi=true"],
    );
    for name in ["network#blocks_down", "auto_scale_roi"] {
        let mut reasons = plans.reasons.iter();
        let decision = reasons.find(|decision| decision.name == name).unwrap();
        assert!(
            decision
                .because
                .ends_with("as set by you, is not for this algorithm")
        );
        assert_eq!(decision.value, Value::Null);
    }
    let none = planned(&SWINUNETR, &case(), &stats(), &[]);
    assert!(
        none.reasons
            .iter()
            .all(|decision| decision.name != "auto_scale_roi")
    );
}

#[test]
fn no_step_is_planned_that_does_not_fit() {
    let stats = stats();
    let mut capped = 0;
    for algorithm in [&SWINUNETR, &DINTS] {
        for gib in [8.0, 11.0, 16.0, 24.0, 48.0, 80.0, 140.0] {
            for classes in [2, 20, 110] {
                let mut case = case();
                case["free_gib"] = json!(gib);
                case["classes"] = json!(classes);
                case["shape"]["max"] = json!([225, 225, 160]);
                let plans = planned(algorithm, &case, &stats, &["use_amp=false"]);
                let gib_of_step = decided(&plans, "step_memory_gib").as_f64().unwrap();
                let patches = plans.train.num_crops_per_image;
                assert!(
                    gib_of_step <= gib || patches == 1,
                    "{}, {classes} classes: {patches} patches take {gib_of_step} of {gib} GiB",
                    algorithm.name
                );
                let ruled = decided(&plans, "num_patches_per_iter").as_u64().unwrap();
                capped += usize::from((patches as u64) < ruled);
            }
        }
    }
    println!("{capped} of 42 plans have fewer patches than by rule");
}

#[test]
fn secondary_images_are_matched_before_they_are_normalized() {
    let mut stats = stats_with_shapes(&case(), &stats());
    stats.image_stats.channels.max = 1;
    stats
        .image_foreground_stats
        .intensity_by_channel
        .truncate(1);
    let names = serde_yaml_ng::from_str("[{name: all, index: [1, 2]}, {name: core, index: [2]}]");
    let input = PlannerInput {
        name: "boxes",
        modality: Modality::Pet,
        extra_modalities: &[("ct".to_owned(), Modality::Ct)],
        classes: &Classes::parse(names.unwrap(), None).unwrap(),
        dicom: &DicomRules::default(),
        overrides: &Overrides::default(),
    };
    let plans = (DINTS.plan)(&stats, &input, &Budget::default()).unwrap();
    let [
        Step::OrientRas,
        Step::Resample { .. },
        Step::ResampleToMatch { first_channels: 1 },
        Step::Normalize { channels },
    ] = plans.deploy.preprocessing.as_slice()
    else {
        panic!("{:?}", plans.deploy.preprocessing)
    };
    let soft_tissue = Normalization::ClippedRange {
        low: -250.0,
        high: 250.0,
    };
    assert_eq!(channels, &[Normalization::ZScoreNonzero, soft_tissue]);
    assert_eq!(plans.deploy.activation, Activation::Sigmoid);
    let network = &plans.train.network;
    assert_eq!((network.in_channels(), network.out_channels()), (2, 2));
}
