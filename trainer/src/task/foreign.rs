//! Keys of Auto3DSeg's task files that are no settings here: the one list of them.

use serde_yaml_ng::{Mapping, Value};

use super::error::TaskError;
use super::value::describe;
use crate::yaml;

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// It changes no result here, for this reason.
    Unused(&'static str),
    /// It would change results in a way that does not exist here; what to do instead.
    Refused(&'static str),
    /// This setting by another name.
    Setting(&'static str),
    /// What other programs call this key, whose values may have another form.
    Called(&'static str),
}
use Meaning::{Called, Refused, Setting, Unused};

/// Meaning of each key of Auto3DSeg that the task does not have.
///
/// **Source**: MONAI 1.6.1 `AutoRunner` and the `hyper_parameters.yaml` of its four algorithm templates.
const KEYS: [(Meaning, &[&str]); 30] = [
    (
        Unused("devices are chosen with `--device`"),
        &[
            "multigpu",
            "mgpu",
            "gpu",
            "gpus",
            "num_gpus",
            "num_nodes",
            "CUDA_VISIBLE_DEVICES",
        ],
    ),
    (
        Unused("the folder is `--work-dir`"),
        &["work_dir", "workdir"],
    ),
    (
        Unused("all files are in the work directory"),
        &[
            "bundle_root",
            "ckpt_path",
            "ckpt_save",
            "data_file_base_dir",
            "data_list_file_path",
            "log_output_file",
            "num_epochs_per_saving",
            "output_path",
        ],
    ),
    (
        Unused("each stage is a command, and `auto` performs those that are not done"),
        &["algo_gen", "analyze", "not_use_cache", "train"],
    ),
    (
        Unused(
            "settings are not searched; `vesal-train settings --search-space` prints what a search may try",
        ),
        &[
            "hpo",
            "hpo_backend",
            "hpo_gen",
            "hpo_params",
            "search_space",
        ],
    ),
    (
        Unused("`vesal-export bundle` makes the ensemble"),
        &["ensemble", "ensemble_method"],
    ),
    (
        Unused("`vesal predict` has options for its results"),
        &[
            "data_root_dir",
            "infer",
            "output_dir",
            "output_dtype",
            "output_ext",
            "output_postfix",
            "print_log",
            "save_mask",
            "save_prob",
            "separate_folder",
        ],
    ),
    (
        Unused("`--max-ram` bounds the memory for cases"),
        &[
            "cache_class_indices",
            "cache_dataset",
            "cache_rate",
            "show_cache_progress",
            "train_cache_rate",
            "use_cache",
            "validate_cache_rate",
        ],
    ),
    (
        Unused("threads follow the cores"),
        &["num_cache_workers", "num_workers", "num_workers_validation"],
    ),
    (
        Unused("`algos` names built-in algorithms"),
        &[
            "gpu_customization",
            "gpu_customization_specs",
            "templates_path_or_url",
        ],
    ),
    (
        Unused("metrics are event files of TensorBoard in the work directory"),
        &["mlflow_experiment_name", "mlflow_tracking_uri"],
    ),
    (
        Unused("it is measured in the images"),
        &[
            "image_size",
            "image_size_mm_90",
            "image_size_mm_median",
            "input_channels",
            "n_cases",
            "spacing_lower",
            "spacing_median",
            "spacing_upper",
        ],
    ),
    (Unused("it follows from `class_names`"), &["output_classes"]),
    (
        Unused("`--only-folds` and `fit --fold` choose folds"),
        &["fold", "folds"],
    ),
    (
        Unused("results and scores do not depend on it"),
        &[
            "calc_val_loss",
            "channels_last",
            "debug",
            "determ",
            "num_sw_batch_size",
            "sw_input_on_cpu",
            "validate",
            "validate_final_original_res",
        ],
    ),
    (
        Unused("it tells readers about the dataset"),
        &[
            "description",
            "licence",
            "license",
            "reference",
            "release",
            "version",
        ],
    ),
    (Setting("seed"), &["random_seed"]),
    (Called("num_epochs"), &["epochs", "max_epochs"]),
    (Called("learning_rate"), &["initial_lr", "lr"]),
    (Called("roi_size"), &["crop_size", "patch_size"]),
    (
        Called("resample_resolution"),
        &["pixdim", "spacing", "target_spacing"],
    ),
    (Called("class_names"), &["classes", "label_names", "labels"]),
    (Called("dataroot"), &["data_dir", "root_dir"]),
    (Called("algos"), &["algo", "algorithm", "algorithms"]),
    (
        Refused(
            "no code of a task is run: store images that are transformed already, and take the key out",
        ),
        &["custom_data_transforms", "transforms"],
    ),
    (
        Refused("each algorithm has its loss: choose another with `algos`, or take the key out"),
        &["loss", "softmax"],
    ),
    (
        Refused(
            "each algorithm has its network, optimizer and schedule: choose another with `algos`, or take the key out",
        ),
        &[
            "lr_scheduler",
            "network#_target_",
            "network#dsdepth",
            "network#in_channels",
            "network#norm",
            "network#out_channels",
            "network#spatial_dims",
            "optimizer#_target_",
            "optimizer#momentum",
        ],
    ),
    (
        Refused(
            "name the labels of each class in `class_names`: `[{name: whole, index: [1, 2]}, {name: tumor, index: [2]}]`",
        ),
        &["class_index"],
    ),
    (
        Refused("the setting `init_weights` names the file of weights to start from"),
        &[
            "finetune",
            "pretrained_ckpt_name",
            "pretrained_path",
            "use_pretrain",
        ],
    ),
    (
        Refused(
            "the rules of the algorithm decide it: take the key out; `vesal-train settings` lists what can be set",
        ),
        &[
            "adapt_valid_mode",
            "adapt_valid_num_epochs_per_validation",
            "adapt_valid_progress_percentages",
            "auto_scale_max_epochs",
            "crop_foreground",
            "early_stop_delta",
            "early_stop_mode",
            "early_stop_patience",
            "epoch_divided_factor",
            "max_epoch",
            "num_patches_per_iter",
            "orientation_ras",
            "overlap_ratio",
            "overlap_ratio_final",
            "overlap_ratio_train",
            "quick",
            "roi_size_valid",
            "valid_at_orig_resolution_at_last",
            "valid_at_orig_resolution_only",
        ],
    ),
];

/// Mappings whose entries are settings: `network: {init_filters: 16}` is `network#init_filters: 16`.
const NESTED: [&str; 3] = ["network", "optimizer", "training"];
/// The mapping whose entries have names without it.
const TRAINING: &str = "training#";

/// A key that has no effect, with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnusedKey {
    pub key: &'static str,
    pub reason: &'static str,
}

/// Names for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let keys = KEYS.iter();
    let keys = keys.filter(|(meaning, _)| !matches!(meaning, Refused(_) | Called(_)));
    keys.flat_map(|(_, keys)| keys.iter().copied())
}

/// Entries of the mappings [`NESTED`] by their whole names; empty values are left out.
pub(super) fn flatten(entries: Mapping) -> Mapping {
    let mut flat = Mapping::new();
    for (key, value) in entries {
        match (key.as_str(), value) {
            (_, Value::Null) => {}
            (Some(outer), Value::Mapping(inner)) if NESTED.contains(&outer) => {
                for (key, value) in inner {
                    let name = key.as_str().map(|name| format!("{outer}#{name}"));
                    if !value.is_null() {
                        flat.insert(name.map_or(key, Value::String), value);
                    }
                }
            }
            (_, value) => {
                flat.insert(key, value);
            }
        }
    }
    flat
}

/// Removes the keys of Auto3DSeg that are no settings, and gives settings the names that they have here. Returns the keys
/// without effect.
///
/// **Errors**: [`TaskError::Refused`]; [`TaskError::UnknownKey`] for what other programs call a key.
pub(super) fn take(entries: Mapping) -> Result<(Mapping, Vec<UnusedKey>), TaskError> {
    let mut settings = Mapping::new();
    let mut unused = Vec::new();
    for (key, value) in flatten(entries) {
        let Some(name) = key.as_str() else {
            settings.insert(key, value);
            continue;
        };
        let name = name.strip_prefix(TRAINING).unwrap_or(name);
        let found = KEYS.iter().find_map(|(meaning, keys)| {
            let known = keys.iter().find(|known| known.eq_ignore_ascii_case(name))?;
            Some((*meaning, *known))
        });
        match found {
            None => {
                settings.insert(name.into(), value);
            }
            Some((Setting(setting), _)) => {
                settings.insert(setting.into(), value);
            }
            Some((Called(name), key)) => {
                return Err(TaskError::UnknownKey {
                    key: key.to_owned(),
                    suggestion: Some(name),
                });
            }
            Some((Unused(reason), key)) => unused.push(UnusedKey { key, reason }),
            Some((Refused(_), key)) if is_usual(key, &value) => unused.push(UnusedKey {
                key,
                reason: "it is so anyway",
            }),
            Some((Refused(remedy), key)) => {
                return Err(TaskError::Refused {
                    key,
                    found: describe(&value),
                    remedy,
                });
            }
        }
    }
    unused.sort_unstable();
    Ok((settings, unused))
}

/// Whether a value says what is done without it.
fn is_usual(key: &str, value: &Value) -> bool {
    let expected = match key {
        "crop_foreground" | "orientation_ras" => Some(true),
        "quick" => Some(false),
        _ => None,
    };
    let disabled = |name: &str| value.get(name).and_then(yaml::flag) == Some(false);
    match key {
        "finetune" => ["enabled", "activate", "activate_finetune"]
            .into_iter()
            .any(disabled),
        _ => expected.is_some() && yaml::flag(value) == expected,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::settings;

    fn taken(text: &str) -> Result<(Mapping, Vec<UnusedKey>), TaskError> {
        take(serde_yaml_ng::from_str(text).unwrap())
    }

    #[test]
    fn every_key_has_one_meaning() {
        let all: Vec<_> = KEYS.iter().flat_map(|(_, keys)| keys.iter()).collect();
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        for (meaning, keys) in KEYS {
            for key in keys {
                assert!(settings::find(key).is_none(), "`{key}` is a setting");
            }
            if let Setting(name) = meaning {
                assert!(settings::find(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn keys_without_effect_are_told_and_settings_found() {
        let (settings, unused) = taken(
            "multigpu: true\nnum_workers: 4\nrandom_seed: 7\nloss:\nquick: no\nCache_Rate: 1\n\
             finetune: {enabled: false, ckpt_name: x}\n\
             network: {init_filters: 8}\ntraining: {num_epochs: 3, input_channels: 2}\nodd: 1\n",
        )
        .unwrap();
        let expected = "seed: 7\nnetwork#init_filters: 8\nnum_epochs: 3\nodd: 1\n";
        assert_eq!(settings, serde_yaml_ng::from_str(expected).unwrap());
        let keys: Vec<_> = unused.iter().map(|unused| unused.key).collect();
        let expected = [
            "cache_rate",
            "finetune",
            "input_channels",
            "multigpu",
            "num_workers",
            "quick",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn what_would_change_results_is_refused() {
        for (text, expected) in [
            (
                "custom_data_transforms: [{key: after_crop}]",
                "`custom_data_transforms` of the task is a list of 1, which does not exist here",
            ),
            (
                "loss: {_target_: DiceLoss}",
                "`loss` of the task is a mapping of 1",
            ),
            (
                "optimizer: {_target_: torch.optim.SGD}",
                "`optimizer#_target_` of the task is \"torch.optim.SGD\"",
            ),
            (
                "training: {overlap_ratio: 0.5}",
                "`overlap_ratio` of the task is 0.5",
            ),
            (
                "orientation_ras: off",
                "`orientation_ras` of the task is \"off\"",
            ),
        ] {
            let error = taken(text).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.hint().is_some());
        }
    }
}
