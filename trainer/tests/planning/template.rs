//! Golden cases of Auto3DSeg's templates: made-up datasets, tasks and GPUs, their plans, and where these differ from a
//! template's decisions.

use crate::dataset_on_disk::Dataset;
use serde_json::{Value, json};
use vesal_bundle::DicomRules;
use vesal_bundle::deploy_plan::Modality;
use vesal_network::ResidualUNetConfig;
use vesal_trainer::algorithms::Algorithm;
use vesal_trainer::analyze::stats::StatsSummary;
use vesal_trainer::memory::MemorySource;
use vesal_trainer::planner::{Budget, PlannerInput, PlannerOutput};
use vesal_trainer::settings::{CropMode, Overrides};
use vesal_trainer::task::Classes;
use vesal_volume::preprocess::{Normalization, Step};

pub fn stats() -> StatsSummary {
    Dataset::new(1).stats()
}

pub fn three(value: &Value) -> [f64; 3] {
    serde_json::from_value(value.clone()).unwrap()
}

/// Data stats with the values of the case in place of those of `stats`.
pub fn stats_of(case: &Value, stats: &StatsSummary) -> StatsSummary {
    let mut stats = stats.clone();
    let spacing = &mut stats.image_stats.spacing;
    spacing.median = three(&case["spacing"]["median"]);
    spacing.percentile_00_5 = three(&case["spacing"]["percentile_00_5"]);
    spacing.percentile_10_0 = three(&case["spacing"]["percentile_10_0"]);
    spacing.percentile_99_5 = three(&case["spacing"]["percentile_99_5"]);
    let size = &mut stats.image_stats.sizemm;
    size.median = three(&case["sizemm"]["median"]);
    size.percentile_90_0 = three(&case["sizemm"]["percentile_90_0"]);
    let foreground = &mut stats.image_foreground_stats;
    for intensity in foreground
        .intensity_by_channel
        .iter_mut()
        .chain([&mut foreground.intensity])
    {
        intensity.percentile_00_5 = case["foreground"][0].as_f64().unwrap();
        intensity.percentile_99_5 = case["foreground"][1].as_f64().unwrap();
    }
    stats.n_cases = usize::try_from(case["n_cases"].as_u64().unwrap()).unwrap();
    stats
}

/// The same with the channels of the case.
pub fn stats_with_channels(case: &Value, stats: &StatsSummary) -> StatsSummary {
    let mut stats = stats_of(case, stats);
    let channels = usize::try_from(case["channels"].as_u64().unwrap()).unwrap();
    stats.image_stats.channels.max = channels;
    let foreground = &mut stats.image_foreground_stats.intensity_by_channel;
    let first = foreground[0].clone();
    foreground.resize(channels, first);
    stats
}

/// The plans for the task and the GPU of the case.
pub fn planned(
    algorithm: &Algorithm,
    case: &Value,
    stats: &StatsSummary,
    overrides: &Overrides,
) -> PlannerOutput {
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
    (algorithm.plan)(stats, &input, &budget).unwrap()
}

/// The value of the first decision of this name.
pub fn decided<'a>(plans: &'a PlannerOutput, name: &str) -> &'a Value {
    let mut reasons = plans.reasons.iter();
    let decision = reasons.find(|decision| decision.name == name);
    &decision
        .unwrap_or_else(|| panic!("{name} is decided"))
        .value
}

/// What the templates of residual U-Nets decide, in the golden files' words.
pub fn decisions(
    algorithm: &Algorithm,
    plans: &PlannerOutput,
    network: &ResidualUNetConfig,
) -> Value {
    let (deploy, train) = (&plans.deploy, &plans.train);
    let Some(Step::Normalize { channels }) = deploy.preprocessing.last() else {
        panic!("the last step normalizes")
    };
    assert_eq!(deploy.window.size, train.roi_size);
    json!({
        "spacing": decided(plans, "resample_resolution"),
        "normalize_mode": match channels[0] {
            Normalization::SigmoidRange { .. } => "range",
            Normalization::ZScoreNonzero => "meanstd",
            _ => "another",
        },
        "roi": train.roi_size,
        "blocks": network.blocks_down,
        "filters": network.init_filters,
        "images": train.num_images_per_batch,
        "crops": train.num_crops_per_image,
        "crop_mode": match train.crop_mode { CropMode::Ratio => "ratio", CropMode::Rand => "rand" },
        "epochs": train.num_epochs,
        "validations": steps(&(algorithm.recipe.validations)(train)),
    })
}

/// Ascending epochs as run-length encoded steps: `[step, times]`.
pub fn steps(epochs: &[usize]) -> Vec<[usize; 2]> {
    let mut found: Vec<[usize; 2]> = Vec::new();
    let mut last = 0;
    for &epoch in epochs {
        match found.last_mut() {
            Some([step, times]) if *step == epoch - last => *times += 1,
            _ => found.push([epoch - last, 1]),
        }
        last = epoch;
    }
    found
}

/// Plans of cases against a template's decisions.
#[derive(Default)]
pub struct Comparison {
    differences: Vec<String>,
    /// Cases whose patch the template's own network refuses.
    pub invalid: usize,
}

impl Comparison {
    /// Compares `found`, the plans in the golden file's words, with what is expected of the case.
    pub fn add(&mut self, case: &Value, expected: &Value, plans: &PlannerOutput, found: &Value) {
        let mut expected = expected.clone();
        let fields = expected.as_object_mut().unwrap();
        if fields.remove("valid") == Some(false.into()) {
            // Ours is rounded down to one that fits.
            fields.remove("roi");
            self.invalid += 1;
        }
        // Of images that are normalized by no range, a template may state one all the same.
        let bounds = fields.remove("intensity_bounds").unwrap();
        if fields["normalize_mode"] == "range" {
            let stated = plans.reasons.iter();
            let stated = stated.filter(|decision| decision.name == "intensity_bounds");
            let stated: Vec<&Value> = stated.map(|decision| &decision.value).collect();
            assert!(!stated.is_empty());
            assert!(stated.iter().all(|value| **value == bounds));
        }
        for (name, expected) in expected.as_object().unwrap() {
            if found[name] != *expected {
                let mut case = case.clone();
                case["expected"] = Value::Null;
                let difference = format!("{name}: {} for {expected}; {case}", found[name]);
                self.differences.push(difference);
            }
        }
    }

    pub fn assert_exact(&self) {
        assert!(
            self.differences.is_empty(),
            "{} decisions differ:\n{}",
            self.differences.len(),
            self.differences.join("\n")
        );
    }
}
