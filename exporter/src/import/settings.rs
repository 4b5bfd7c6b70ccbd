//! What a checkpoint's configuration says about data and inference.
//!
//! Two kinds of configurations are met: a bare description of the network, and Auto3DSeg's whole set of
//! hyperparameters. Of either, what is there is taken, and what cannot be honored is refused.

use serde_json::{Map, Value};
use thiserror::Error;
use vesal_bundle::deploy_plan::Modality;
use vesal_network::SegResNetDsConfig;

use super::labels::{self, ClassName};
use super::network;

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

/// What the configuration states; what it leaves open is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Hyperparameters of the network.
    pub network: Option<SegResNetDsConfig>,
    /// Name of the task.
    pub name: Option<String>,
    /// Window in voxels.
    pub roi_size: Option<[usize; 3]>,
    /// Shared fraction of neighboring windows.
    pub overlap: Option<[f64; 3]>,
    /// Whether images are resampled.
    pub resample: Option<bool>,
    /// Spacing in mm that they are resampled to.
    pub resample_resolution: Option<[f64; 3]>,
    /// Imaging modality.
    pub modality: Option<Modality>,
    /// How intensities are normalized.
    pub normalize_mode: Option<NormalizeMode>,
    /// Range of intensities.
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
}

/// Why a configuration cannot be honored.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SettingsError {
    /// A field of another type or out of range.
    #[error("the checkpoint's `{field}` is {found}, expected {expected}")]
    Field {
        /// Path of the field.
        field: String,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A feature that bundles do not have.
    #[error(
        "the checkpoint has `{field}` = {found}, which a bundle cannot express; expected {expected}"
    )]
    Unsupported {
        /// Path of the field.
        field: String,
        /// Its value.
        found: String,
        /// What a bundle can express.
        expected: &'static str,
    },
}

impl Settings {
    /// Reads a configuration.
    ///
    /// **Errors**: [`SettingsError`] for the first field that cannot be honored.
    pub fn from_config(config: &Map<String, Value>) -> Result<Self, SettingsError> {
        let fields = Fields {
            path: "config",
            map: config,
            root: config,
        };
        refuse_unsupported(&fields)?;
        Ok(Self {
            network: network::read(&fields)?,
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
fn extra_modalities(fields: &Fields<'_>) -> Result<Vec<(String, NormalizeMode)>, SettingsError> {
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

/// Refuses what would change the result without the bundle knowing.
fn refuse_unsupported(fields: &Fields<'_>) -> Result<(), SettingsError> {
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

/// The fields of a dictionary, with references `@name` to top-level fields resolved.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub path: &'static str,
    pub map: &'a Map<String, Value>,
    pub root: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// A field; null is no field.
    pub fn get(&self, field: &str) -> Option<&'a Value> {
        let value = match self.map.get(field)? {
            Value::String(text) if text.starts_with('@') => self.root.get(&text[1..])?,
            value => value,
        };
        (!value.is_null()).then_some(value)
    }

    fn read<T>(
        &self,
        field: &str,
        expected: &'static str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => read(value)
                .map(Some)
                .ok_or_else(|| self.broken(field, expected)),
        }
    }

    pub fn broken(&self, field: &str, expected: &'static str) -> SettingsError {
        SettingsError::Field {
            field: self.path_of(field),
            found: self.show(field),
            expected,
        }
    }

    pub fn unsupported(&self, field: &str, expected: &'static str) -> SettingsError {
        SettingsError::Unsupported {
            field: self.path_of(field),
            found: self.show(field),
            expected,
        }
    }

    fn path_of(&self, field: &str) -> String {
        format!("{}.{field}", self.path)
    }

    /// Value of a field for messages, cut where it is long.
    fn show(&self, field: &str) -> String {
        let text = self
            .map
            .get(field)
            .map_or_else(|| "absent".to_owned(), Value::to_string);
        if text.chars().count() > 80 {
            text.chars().take(77).chain("...".chars()).collect()
        } else {
            text
        }
    }

    pub fn flag(&self, field: &str) -> Result<Option<bool>, SettingsError> {
        self.read(field, "true or false", Value::as_bool)
    }

    pub fn text(&self, field: &str) -> Result<Option<&'a str>, SettingsError> {
        self.read(field, "a text", Value::as_str)
    }

    pub fn count(&self, field: &str) -> Result<Option<usize>, SettingsError> {
        self.read(field, "a whole number of at least 0", size)
    }

    pub fn counts(&self, field: &str) -> Result<Option<Vec<usize>>, SettingsError> {
        self.read(field, "a list of whole numbers", |value| {
            value.as_array()?.iter().map(size).collect()
        })
    }

    pub fn sizes(&self, field: &str) -> Result<Option<[usize; 3]>, SettingsError> {
        self.read(field, "three whole numbers", |value| {
            value
                .as_array()?
                .iter()
                .map(size)
                .collect::<Option<Vec<_>>>()?
                .try_into()
                .ok()
        })
    }

    pub fn numbers<const N: usize>(&self, field: &str) -> Result<Option<[f64; N]>, SettingsError> {
        self.read(
            field,
            if N == 2 {
                "two numbers"
            } else {
                "three numbers"
            },
            numbers,
        )
    }

    fn numbers_or_one(&self, field: &str) -> Result<Option<[f64; 3]>, SettingsError> {
        self.read(field, "a number or three", |value| {
            value
                .as_f64()
                .map(|one| [one; 3])
                .or_else(|| numbers(value))
        })
    }

    fn choice<T>(
        &self,
        field: &str,
        expected: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        match self.text(field)? {
            None => Ok(None),
            Some(text) => read(&text.to_ascii_lowercase())
                .map(Some)
                .ok_or_else(|| self.unsupported(field, expected)),
        }
    }
}

fn size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| usize::try_from(size).ok())
}

fn numbers<const N: usize>(value: &Value) -> Option<[f64; N]> {
    value
        .as_array()?
        .iter()
        .map(Value::as_f64)
        .collect::<Option<Vec<_>>>()?
        .try_into()
        .ok()
}
