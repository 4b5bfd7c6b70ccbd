//! The configuration of a checkpoint about data and inference.
//!
//! Two kinds of configurations are met: a bare description of the network, and Auto3DSeg's whole set of
//! hyperparameters. Values are taken from both kinds, and unsupported values are refused.

use serde_json::{Map, Value};
use vesal_bundle::deploy_plan::Modality;
use vesal_models::monai::{self, Arguments, ArgumentsError};
use vesal_network::NetworkConfig;
use vesal_volume::preprocess::{Restore, Step};
use vesal_volume::window::{Blend, Padding};

use super::labels::{self, ClassName};

/// How intensities were normalized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormalizeMode {
    /// Sigmoid of a range: Auto3DSeg's `range` or `ct`.
    Range,
    /// Z-score of the voxels that are not zero: `meanstd` or `mri`.
    ZScore,
    /// The same through a hyperbolic tangent: `meanstdtanh`.
    ZScoreTanh,
    /// Sigmoid of deviations from the smallest intensity: `pet`.
    Deviation,
    /// Not at all: `none`.
    None,
}

/// Values of the configuration; absent ones are `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InferenceSettings {
    /// Hyperparameters of the network.
    pub network: Option<NetworkConfig>,
    pub name: Option<String>,
    /// Window in voxels.
    pub roi_size: Option<[usize; 3]>,
    /// Shared fraction of neighboring windows.
    pub overlap: Option<[f64; 3]>,
    /// Whether images are resampled.
    pub resample: Option<bool>,
    /// Spacing in mm that they are resampled to.
    pub resample_resolution: Option<[f64; 3]>,
    pub modality: Option<Modality>,
    /// How intensities are normalized.
    pub normalize_mode: Option<NormalizeMode>,
    pub intensity_bounds: Option<[f32; 2]>,
    /// Names of the classes, background included or not.
    pub class_names: Option<Vec<ClassName>>,
    /// Whether classes are regions that may overlap.
    pub sigmoid: Option<bool>,
    /// Names of further images on grids of their own, and how they are normalized.
    pub extra_modalities: Vec<(String, NormalizeMode)>,
    /// Whether images are turned to RAS.
    pub orientation_ras: Option<bool>,
    /// Whether images are cropped to what is above 0.
    pub crop_foreground: Option<bool>,
    /// The whole of preprocessing.
    pub steps: Option<Vec<Step>>,
    pub blend: Option<Blend>,
    pub padding: Option<Padding>,
    /// What is interpolated back to the grid of the input.
    pub restore: Option<Restore>,
}

impl InferenceSettings {
    /// Reads a configuration.
    ///
    /// **Errors**: [`ArgumentsError`] for the first field that is not supported.
    pub fn from_config(config: &Map<String, Value>) -> Result<Self, ArgumentsError> {
        let fields = Arguments {
            path: "config",
            map: config,
            root: config,
        };
        refuse_unsupported(&fields)?;
        Ok(Self {
            network: monai::network(&fields)?,
            name: fields
                .text("name")?
                .or(fields.text("task")?)
                .map(str::to_owned),
            roi_size: fields.sizes("roi_size")?,
            overlap: fields.numbers_or_one("overlap")?,
            resample: fields.flag("resample")?,
            resample_resolution: fields.numbers("resample_resolution")?,
            modality: fields.choice("modality", "ct, mri or pet", |text| match text {
                "ct" => Some(Modality::Ct),
                "mri" | "mr" => Some(Modality::Mri),
                "pet" | "pt" => Some(Modality::Pet),
                _ => None,
            })?,
            normalize_mode: fields.choice("normalize_mode", NormalizeMode::NAMES, |text| {
                NormalizeMode::named(text)
            })?,
            intensity_bounds: fields
                .numbers::<2>("intensity_bounds")?
                .map(|bounds| bounds.map(|b| b as f32)),
            class_names: labels::read(&fields)?,
            sigmoid: fields.flag("sigmoid")?,
            extra_modalities: extra_modalities(&fields)?,
            orientation_ras: fields.flag("orientation_ras")?,
            crop_foreground: fields.flag("crop_foreground")?,
            ..Self::default()
        })
    }
}

impl NormalizeMode {
    const NAMES: &str = "range, meanstd, meanstdtanh, pet or none";

    fn named(text: &str) -> Option<Self> {
        match text {
            "range" | "ct" => Some(Self::Range),
            "meanstd" | "mri" => Some(Self::ZScore),
            "meanstdtanh" => Some(Self::ZScoreTanh),
            "pet" => Some(Self::Deviation),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

/// Further images in the order of their channels.
fn extra_modalities(
    fields: &Arguments<'_>,
) -> Result<Vec<(String, NormalizeMode)>, ArgumentsError> {
    const FIELD: &str = "extra_modalities";
    let map = match fields.get(FIELD) {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) if items.is_empty() => return Ok(Vec::new()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(fields.broken(FIELD, "names of images with their modalities")),
    };
    let entry = |(key, mode): (&String, &Value)| {
        let mode = mode.as_str().and_then(NormalizeMode::named);
        let mode = mode.ok_or_else(|| fields.unsupported(FIELD, NormalizeMode::NAMES))?;
        Ok((key.clone(), mode))
    };
    map.iter().map(entry).collect()
}

/// Refuses values that would change the result and that a bundle cannot express.
fn refuse_unsupported(fields: &Arguments<'_>) -> Result<(), ArgumentsError> {
    const FIELD: &str = "custom_data_transforms";
    let empty = match fields.get(FIELD) {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(_) => false,
    };
    if empty {
        Ok(())
    } else {
        Err(fields.unsupported(FIELD, "none"))
    }
}
