//! The list of keys of other programs, with what becomes of each.

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
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
pub(super) const KEYS: [(Meaning, &[&str]); 30] = [
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
