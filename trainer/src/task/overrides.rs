//! Decisions that the user takes instead of the planner's rules.

use serde::{Deserialize, Serialize};
use serde_yaml_ng::{Mapping, Value};
use thiserror::Error;

use super::suggest;
use crate::train_plan::{self, AugmentMode, CropMode};
use crate::yaml::{self, YamlReadError};
use vesal_bundle::deploy_plan::MAX_WINDOW_SIDE;

/// Longest value of a setting in bytes.
const MAX_VALUE_BYTES: u64 = 1 << 16;

/// How intensities are normalized, by Auto3DSeg's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormalizeMode {
    /// The range of intensities through a sigmoid: CT.
    #[serde(alias = "ct")]
    Range,
    /// Zero mean and unit deviation over the voxels that are not zero: MR.
    #[serde(alias = "mri", alias = "mr")]
    Meanstd,
    /// The same with outliers pressed together by a hyperbolic tangent.
    Meanstdtanh,
    /// Deviations from the smallest intensity through a sigmoid: PET.
    Pet,
    /// Intensities as they are.
    None,
}

/// Which spacing images are resampled to, by Auto3DSeg's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResampleMode {
    /// The median in x and y; in z the 10th percentile, at least the mean of x and y.
    Auto,
    /// The median.
    Median,
    /// The median in x and y, the 10th percentile in z.
    Median10,
    /// 1 mm.
    Ones,
}

/// Settings by their Auto3DSeg names: in `task.yaml`, and on the command line as `--set NAME=VALUE`.
///
/// What is set survives every rule of the planner.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// Passes over the training cases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_epochs: Option<usize>,
    /// Patches per step, distributed to cases and crops by the crop mode; taken literally, as cases per step, where
    /// `num_crops_per_image` is set as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_images_per_batch: Option<usize>,
    /// Epochs between validations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_epochs_per_validation: Option<usize>,
    /// Epochs over which the learning rate rises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_warmup_epochs: Option<usize>,
    /// Mixed precision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_amp: Option<bool>,
    /// Peak learning rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Patch in voxels, `[X, Y, Z]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roi_size: Option<[usize; 3]>,
    /// Patches cut from each case of a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_crops_per_image: Option<usize>,
    /// Steps per case and epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_steps_per_image: Option<usize>,
    /// Where patches are cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop_mode: Option<CropMode>,
    /// Whether images are resampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resample: Option<bool>,
    /// Target spacing in mm, `[X, Y, Z]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resample_resolution: Option<[f64; 3]>,
    /// How the target spacing follows from those of the cases, where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resample_mode: Option<ResampleMode>,
    /// Whether patches, batches and filters may follow the device's memory at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_scale_allowed: Option<bool>,
    /// Whether more memory gives larger batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_scale_batch: Option<bool>,
    /// Whether more memory gives larger patches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_scale_roi: Option<bool>,
    /// Whether small patches give wider networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_scale_filters: Option<bool>,
    /// Intensities that the `range` normalization maps to sigmoid(-1) and sigmoid(1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intensity_bounds: Option<[f64; 2]>,
    /// How intensities are normalized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize_mode: Option<NormalizeMode>,
    /// Channels of the network's first level.
    #[serde(
        rename = "network#init_filters",
        skip_serializing_if = "Option::is_none"
    )]
    pub init_filters: Option<usize>,
    /// Residual blocks of each level of the network.
    #[serde(
        rename = "network#blocks_down",
        skip_serializing_if = "Option::is_none"
    )]
    pub blocks_down: Option<Vec<usize>>,
    /// Seed of weights, sampling, augmentation and generated folds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Set of random changes to patches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment_mode: Option<AugmentMode>,
    /// Axes on which patches are mirrored at random: none of them for `[]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment_flips: Option<Vec<usize>>,
    /// Planes in which patches are turned at random by multiples of 90 degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment_rots: Option<Vec<[usize; 2]>>,
    /// Weight of each class in the loss, background first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f64>>,
    /// Largest norm of all gradients together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_grad_norm: Option<f64>,
    /// Decay of the average of the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema_decay: Option<f64>,
    /// Relative change of the score below which the training ends early; 0: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping_fraction: Option<f64>,
    /// Whether a score near 0 after a quarter of the epochs is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_on_lowacc: Option<bool>,
}

/// Why a setting cannot be used.
#[derive(Debug, Error)]
pub enum OverrideError {
    /// A name that means nothing.
    #[error("`{name}` is no setting{}; settings are: {}", suggest::phrase(suggestion), Overrides::NAMES.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// A setting that looks like it.
        suggestion: Option<&'static str>,
    },
    /// Not `NAME=VALUE`.
    #[error("{found:?} sets nothing, expected NAME=VALUE")]
    Form {
        /// The text.
        found: String,
    },
    /// Not YAML.
    #[error("the value of `{name}` is no YAML")]
    Yaml {
        /// The setting.
        name: String,
        /// Where and what.
        source: YamlReadError,
    },
    /// A value of another kind.
    #[error("`{name}` has a value of the wrong kind")]
    Kind {
        /// The setting.
        name: String,
        /// What was found and expected.
        source: serde_yaml_ng::Error,
    },
    /// A value out of range.
    #[error("`{name}` is {found}, expected {expected}")]
    Range {
        /// The setting.
        name: &'static str,
        /// Its value.
        found: String,
        /// The range.
        expected: &'static str,
    },
}

impl Overrides {
    /// All settings.
    pub const NAMES: [&'static str; 30] = [
        "num_epochs",
        "num_images_per_batch",
        "num_epochs_per_validation",
        "num_warmup_epochs",
        "use_amp",
        "learning_rate",
        "roi_size",
        "num_crops_per_image",
        "num_steps_per_image",
        "crop_mode",
        "resample",
        "resample_resolution",
        "resample_mode",
        "auto_scale_allowed",
        "auto_scale_batch",
        "auto_scale_roi",
        "auto_scale_filters",
        "intensity_bounds",
        "normalize_mode",
        "network#init_filters",
        "network#blocks_down",
        "seed",
        "augment_mode",
        "augment_flips",
        "augment_rots",
        "class_weights",
        "clip_grad_norm",
        "ema_decay",
        "early_stopping_fraction",
        "stop_on_lowacc",
    ];

    /// Sets one by name; an empty value leaves it to the rules again.
    ///
    /// **Errors**: [`OverrideError`]; the settings are then as before.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), OverrideError> {
        if !Self::NAMES.contains(&name) {
            let suggestion = suggest::closest(name, Self::NAMES.into_iter());
            return Err(OverrideError::Unknown {
                name: name.to_owned(),
                suggestion,
            });
        }
        let kind = |source| OverrideError::Kind {
            name: name.to_owned(),
            source,
        };
        let mut entries: Mapping = serde_yaml_ng::to_value(&*self)
            .and_then(serde_yaml_ng::from_value)
            .map_err(kind)?;
        entries.insert(name.into(), value);
        let changed: Self = serde_yaml_ng::from_value(entries.into()).map_err(kind)?;
        changed.check()?;
        *self = changed;
        Ok(())
    }

    /// Sets one from `NAME=VALUE`, the value being YAML.
    ///
    /// **Errors**: as [`set`](Self::set).
    ///
    /// **Examples**
    ///
    /// ```
    /// # use vesal_trainer::task::Overrides;
    /// let mut overrides = Overrides::default();
    /// overrides.set_text("roi_size=[32, 48, 32]").unwrap();
    /// assert_eq!(overrides.roi_size, Some([32, 48, 32]));
    /// ```
    pub fn set_text(&mut self, text: &str) -> Result<(), OverrideError> {
        let (name, value) = text.split_once('=').ok_or_else(|| OverrideError::Form {
            found: text.to_owned(),
        })?;
        let name = name.trim();
        let value = yaml::from_slice(value.as_bytes(), MAX_VALUE_BYTES).map_err(|source| {
            OverrideError::Yaml {
                name: name.to_owned(),
                source,
            }
        })?;
        self.set(name, value)
    }

    /// These settings where they are set, those of `base` elsewhere.
    pub fn over(&self, base: &Self) -> Self {
        Self {
            num_epochs: self.num_epochs.or(base.num_epochs),
            num_images_per_batch: self.num_images_per_batch.or(base.num_images_per_batch),
            num_epochs_per_validation: self
                .num_epochs_per_validation
                .or(base.num_epochs_per_validation),
            num_warmup_epochs: self.num_warmup_epochs.or(base.num_warmup_epochs),
            use_amp: self.use_amp.or(base.use_amp),
            learning_rate: self.learning_rate.or(base.learning_rate),
            roi_size: self.roi_size.or(base.roi_size),
            num_crops_per_image: self.num_crops_per_image.or(base.num_crops_per_image),
            num_steps_per_image: self.num_steps_per_image.or(base.num_steps_per_image),
            crop_mode: self.crop_mode.or(base.crop_mode),
            resample: self.resample.or(base.resample),
            resample_resolution: self.resample_resolution.or(base.resample_resolution),
            resample_mode: self.resample_mode.or(base.resample_mode),
            auto_scale_allowed: self.auto_scale_allowed.or(base.auto_scale_allowed),
            auto_scale_batch: self.auto_scale_batch.or(base.auto_scale_batch),
            auto_scale_roi: self.auto_scale_roi.or(base.auto_scale_roi),
            auto_scale_filters: self.auto_scale_filters.or(base.auto_scale_filters),
            intensity_bounds: self.intensity_bounds.or(base.intensity_bounds),
            normalize_mode: self.normalize_mode.or(base.normalize_mode),
            init_filters: self.init_filters.or(base.init_filters),
            blocks_down: first(&self.blocks_down, &base.blocks_down),
            seed: self.seed.or(base.seed),
            augment_mode: self.augment_mode.or(base.augment_mode),
            augment_flips: first(&self.augment_flips, &base.augment_flips),
            augment_rots: first(&self.augment_rots, &base.augment_rots),
            class_weights: first(&self.class_weights, &base.class_weights),
            clip_grad_norm: self.clip_grad_norm.or(base.clip_grad_norm),
            ema_decay: self.ema_decay.or(base.ema_decay),
            early_stopping_fraction: self
                .early_stopping_fraction
                .or(base.early_stopping_fraction),
            stop_on_lowacc: self.stop_on_lowacc.or(base.stop_on_lowacc),
        }
    }

    fn check(&self) -> Result<(), OverrideError> {
        let counts = [
            ("num_epochs", self.num_epochs),
            ("num_images_per_batch", self.num_images_per_batch),
            ("num_epochs_per_validation", self.num_epochs_per_validation),
            ("num_crops_per_image", self.num_crops_per_image),
            ("num_steps_per_image", self.num_steps_per_image),
            ("network#init_filters", self.init_filters),
        ];
        for (name, count) in counts {
            in_range(name, count, "at least 1", |&count| count > 0)?;
        }
        in_range(
            "learning_rate",
            self.learning_rate,
            "a positive number",
            |&rate| rate > 0.0 && rate.is_finite(),
        )?;
        in_range(
            "roi_size",
            self.roi_size,
            "1 to 1024 voxels on every axis",
            |roi| roi.iter().all(|side| (1..=MAX_WINDOW_SIDE).contains(side)),
        )?;
        in_range(
            "resample_resolution",
            self.resample_resolution,
            "0.001 to 1000 mm on every axis",
            |spacing| spacing.iter().all(|mm| (1e-3..=1e3).contains(mm)),
        )?;
        in_range(
            "intensity_bounds",
            self.intensity_bounds,
            "[low, high] with low < high",
            |[low, high]| low < high && low.is_finite() && high.is_finite(),
        )?;
        in_range(
            "network#blocks_down",
            self.blocks_down.clone(),
            "at least one level of at least 1 block",
            |levels| !levels.is_empty() && levels.iter().all(|&blocks| blocks > 0),
        )?;
        self.check_controls()
    }

    fn check_controls(&self) -> Result<(), OverrideError> {
        in_range(
            "augment_flips",
            self.augment_flips.clone(),
            "different axes of 0, 1 and 2",
            |axes| train_plan::are_axes(axes),
        )?;
        in_range(
            "augment_rots",
            self.augment_rots.clone(),
            "pairs of different axes of 0, 1 and 2",
            |planes| planes.iter().all(|axes| train_plan::are_axes(axes)),
        )?;
        in_range(
            "class_weights",
            self.class_weights.clone(),
            train_plan::CLASS_WEIGHTS,
            |weights| train_plan::are_class_weights(weights),
        )?;
        in_range(
            "clip_grad_norm",
            self.clip_grad_norm,
            train_plan::CLIP_GRAD_NORM,
            |&limit| train_plan::is_norm_limit(limit),
        )?;
        in_range(
            "ema_decay",
            self.ema_decay,
            train_plan::EMA_DECAY,
            |&decay| train_plan::is_fraction(decay),
        )?;
        in_range(
            "early_stopping_fraction",
            self.early_stopping_fraction,
            train_plan::EARLY_STOPPING_FRACTION,
            |&fraction| train_plan::is_fraction(fraction),
        )
    }
}

/// The first one that is set.
fn first<T: Clone>(a: &Option<T>, b: &Option<T>) -> Option<T> {
    a.as_ref().or(b.as_ref()).cloned()
}

fn in_range<T: std::fmt::Debug>(
    name: &'static str,
    value: Option<T>,
    expected: &'static str,
    holds: impl Fn(&T) -> bool,
) -> Result<(), OverrideError> {
    match value {
        Some(value) if !holds(&value) => Err(OverrideError::Range {
            name,
            found: format!("{value:?}"),
            expected,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
