//! The planner keeps the user's values of settings, for any data and any memory.

use crate::dataset_on_disk::Dataset;
use serde_json::{Value, json};
use vesal_bundle::DicomRules;
use vesal_bundle::deploy_plan::Modality;
use vesal_trainer::algorithms;
use vesal_trainer::analyze::stats::StatsSummary;
use vesal_trainer::memory::MemorySource;
use vesal_trainer::planner::{Budget, PlannerInput, PlannerOutput};
use vesal_trainer::settings::{self, Overrides};
use vesal_trainer::task::Classes;
use vesal_trainer::train_plan::TrainPlan;

/// Settings, values that no rule below gives, and other settings that are required for an effect. For settings that are
/// not listed, the registry's example is used.
const SETTINGS: &[(&str, &str, &[&str])] = &[
    ("num_epochs", "7", &[]),
    ("num_images_per_batch", "3", &["num_crops_per_image=6"]),
    ("num_epochs_per_validation", "5", &[]),
    ("num_warmup_epochs", "11", &[]),
    ("use_amp", "false", &[]),
    ("learning_rate", "0.0125", &[]),
    (
        "roi_size",
        "[16, 32, 64]",
        &["network#blocks_down=[1, 1, 1]"],
    ),
    ("num_crops_per_image", "7", &[]),
    ("num_steps_per_image", "13", &[]),
    ("crop_mode", "ratio", &[]),
    ("crop_mode", "rand", &[]),
    ("resample", "true", &[]),
    ("resample", "false", &[]),
    (
        "resample_resolution",
        "[1.25, 0.75, 2.5]",
        &["resample=true"],
    ),
    ("resample_mode", "ones", &[]),
    ("auto_scale_allowed", "false", &[]),
    ("auto_scale_batch", "false", &[]),
    ("auto_scale_roi", "true", &[]),
    ("auto_scale_filters", "true", &["network#init_filters=32"]),
    (
        "intensity_bounds",
        "[-123.0, 456.0]",
        &["normalize_mode=range"],
    ),
    ("normalize_mode", "none", &[]),
    ("network#init_filters", "24", &[]),
    ("network#blocks_down", "[2, 3]", &[]),
    ("seed", "99", &[]),
    ("augment_mode", "mri_1", &[]),
    ("augment_flips", "[1, 2]", &[]),
    (
        "augment_rots",
        "[[0, 1]]",
        &["roi_size=[32, 32, 32]", "network#blocks_down=[1, 1, 1]"],
    ),
    ("class_weights", "[1.0, 2.0, 3.0]", &[]),
    ("clip_grad_norm", "0.5", &[]),
    ("ema_decay", "0.99", &[]),
    ("early_stopping_fraction", "0.01", &[]),
    ("stop_on_lowacc", "false", &[]),
];

fn stats() -> StatsSummary {
    Dataset::new(2).stats()
}

fn planned(
    stats: &StatsSummary,
    modality: Modality,
    classes: usize,
    memory: f64,
    overrides: &Overrides,
) -> PlannerOutput {
    let class_names: Vec<_> = (1..classes).map(|class| format!("class_{class}")).collect();
    let class_names = serde_yaml_ng::to_value(class_names).unwrap();
    let classes = Classes::parse(class_names, None).unwrap();
    let input = PlannerInput {
        name: "settings",
        modality,
        extra_modalities: &[],
        classes: &classes,
        dicom: &DicomRules::default(),
        overrides,
    };
    let budget = Budget {
        device_memory_gib: memory,
        source: MemorySource::Set,
        host_memory_gib: None,
    };
    (algorithms::DEFAULT.plan)(stats, &input, &budget).unwrap()
}

/// The value in the plans that a setting affects: in the train plan under its own name, or elsewhere.
fn effect(plans: &PlannerOutput, name: &str) -> Option<Value> {
    let train = serde_json::to_value(&plans.train).unwrap();
    let deploy = serde_json::to_value(&plans.deploy).unwrap();
    let steps = serde_json::to_string(&deploy["preprocessing"]).unwrap();
    let (group, key) = name.split_once('#').unwrap_or(("", name));
    let of_network = &train["network"]["segresnet_ds"];
    match (group, key) {
        ("network", key) => Some(of_network[key].clone()),
        ("", "resample") => Some(json!(steps.contains("resample"))),
        ("", "resample_resolution") => steps
            .contains("[1.25,0.75,2.5]")
            .then(|| json!([1.25, 0.75, 2.5])),
        ("", "intensity_bounds") => steps
            .contains("\"low\":-123.0,\"high\":456.0")
            .then(|| json!([-123.0, 456.0])),
        ("", "normalize_mode") => steps.contains("identity").then(|| json!("none")),
        // These settings act through others, which the golden decisions cover.
        ("", key) if key.starts_with("auto_scale") || key == "resample_mode" => None,
        ("", key) => train.get(key).cloned(),
        _ => None,
    }
}

/// The rows of [`SETTINGS`], and examples of all other settings.
fn values() -> impl Iterator<Item = (&'static str, &'static str, &'static [&'static str])> {
    let listed = |name| SETTINGS.iter().any(|(listed, ..)| *listed == name);
    let others = settings::all().iter().map(|setting| setting.definition());
    // The choice of algorithms is no decision of their plans, and files of weights are added to these.
    let elsewhere = ["allow_skip", "init_weights", "network#patch_merging"];
    let others =
        others.filter(move |setting| !listed(setting.name) && !elsewhere.contains(&setting.name));
    let examples = others.map(|setting| (setting.name, setting.example, [].as_slice()));
    SETTINGS.iter().copied().chain(examples)
}

#[test]
fn every_setting_survives_on_any_data_and_memory() {
    let small = stats();
    let mut large = small.clone();
    large.image_stats.sizemm.median = [400.0, 380.0, 300.0];
    large.image_stats.sizemm.percentile_90_0 = [450.0, 450.0, 400.0];
    large.image_stats.spacing.median = [0.8, 0.8, 3.0];
    large.image_stats.spacing.percentile_10_0 = [0.7, 0.7, 2.5];
    for (name, value, others) in values() {
        let mut overrides = Overrides::default();
        for text in others
            .iter()
            .copied()
            .chain([format!("{name}={value}").as_str()])
        {
            overrides.set_text(text).unwrap();
        }
        let expected: Value = serde_yaml_ng::from_str(value).unwrap();
        for (stats, modality, classes, memory) in [
            (&small, Modality::Mri, 3, 16.0),
            (&small, Modality::Ct, 40, 141.0),
            (&large, Modality::Ct, 3, 80.0),
            (&large, Modality::Mri, 105, 8.0),
        ] {
            if name == "class_weights" && classes != 3 {
                continue;
            }
            let plans = planned(stats, modality, classes, memory, &overrides);
            if let Some(found) = effect(&plans, name) {
                assert_eq!(
                    found, expected,
                    "{name} for {classes} classes, {memory} GiB"
                );
            } else {
                assert!(
                    name.starts_with("auto_scale") || name == "resample_mode",
                    "`{name}` has no effect on the plans"
                );
            }
            let decision = plans
                .reasons
                .iter()
                .find(|decision| decision.name == name)
                .unwrap_or_else(|| panic!("`{name}` is not explained"));
            assert_eq!(
                (&decision.value, decision.rule),
                (&expected, "as set by you"),
                "{name}"
            );
        }
    }
}

#[test]
fn spacing_that_is_set_wins_over_how_it_would_be_chosen() {
    let mut overrides = Overrides::default();
    overrides.set_text("resample_mode=ones").unwrap();
    overrides
        .set_text("resample_resolution=[1.25, 0.75, 2.5]")
        .unwrap();
    overrides.set_text("resample=true").unwrap();
    let plans = planned(&stats(), Modality::Mri, 3, 16.0, &overrides);
    assert_eq!(
        effect(&plans, "resample_resolution"),
        Some(json!([1.25, 0.75, 2.5]))
    );
}

#[test]
fn what_tells_runs_apart_leaves_out_what_makes_no_other_run() {
    let stats = stats();
    let lasting = |plan: &TrainPlan| {
        let mut plan = plan.clone();
        for setting in settings::all() {
            if let Some(neutralize) = setting.definition().same_run {
                neutralize(&mut plan);
            }
        }
        plan
    };
    for (name, value, others) in values() {
        let trained = |texts: &[&str]| {
            let mut overrides = Overrides::default();
            for text in others.iter().chain(texts) {
                overrides.set_text(text).unwrap();
            }
            planned(&stats, Modality::Mri, 3, 16.0, &overrides).train
        };
        let (usual, changed) = (trained(&[]), trained(&[&format!("{name}={value}")]));
        let is_same = settings::find(name)
            .unwrap()
            .definition()
            .same_run
            .is_some();
        assert_eq!(
            lasting(&usual) == lasting(&changed),
            is_same || usual == changed,
            "{name}"
        );
    }
}
