//! Settings of inference from the configuration of a folder.

use serde_json::{Map, Value};
use thiserror::Error;
use vesal_bundle::deploy_plan::Modality;
use vesal_models::monai::{Arguments, ArgumentsError};
use vesal_network::NetworkConfig;

use super::configuration::{Configuration, ConfigurationError};
use super::described::{ComponentError, Inverted, Preparation, StatedOutputs, StatedWindows};
use super::folder::Folder;
use super::labels::{self, ClassName};
use super::overrides::ImportOverrides;
use super::settings::InferenceSettings;
use super::template::Template;

/// Why settings of a folder cannot be honored.
#[derive(Debug, Error)]
pub enum FolderSettingsError {
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error(transparent)]
    Component(#[from] ComponentError),
    #[error(transparent)]
    Arguments(#[from] ArgumentsError),
}

impl FolderSettingsError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Configuration(error) => error.hint(),
            Self::Component(error) => Some(error.hint()),
            Self::Arguments(_) => None,
        }
    }
}

/// Reads the settings of a network's inference, as far as flags leave them to the folder. Preprocessing for another modality
/// than the stated one is not taken.
///
/// **Errors**: [`FolderSettingsError`].
pub(super) fn read(
    folder: &Folder,
    network: &NetworkConfig,
    flags: &ImportOverrides,
) -> Result<InferenceSettings, FolderSettingsError> {
    match (folder, Template::of(network)) {
        (Folder::Template(configuration), Template::Segresnet | Template::Segresnet2d) => {
            Ok(InferenceSettings::from_config(&configuration.all()?)?)
        }
        (Folder::Template(configuration), _) => template(configuration, network, flags),
        (Folder::Bundle(configuration, metadata), _) => {
            bundle(configuration, metadata, network, flags)
        }
    }
}

/// Settings of Auto3DSeg's swinunetr and dints; the latter has them under `training`, as older ones of both have.
fn template(
    configuration: &Configuration,
    network: &NetworkConfig,
    flags: &ImportOverrides,
) -> Result<InferenceSettings, FolderSettingsError> {
    let field = |name: &str, spellings: &[&str]| -> Result<_, ConfigurationError> {
        let keys: Vec<String> = spellings
            .iter()
            .flat_map(|key| [format!("training#{key}"), (*key).to_owned()])
            .collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let value = configuration.first(&keys)?;
        Ok(value.map(|value| (name.to_owned(), value)))
    };
    let fields = [
        field(
            "roi_size",
            &[
                "roi_size_valid",
                "roi_size",
                "patch_size_valid",
                "patch_size",
            ],
        )?,
        field(
            "resample_resolution",
            &["resample_resolution", "resample_to_spacing"],
        )?,
        field("softmax", &["softmax"])?,
        field("class_names", &["class_names"])?,
        // That of the last validation and of inference; swinunetr's other one is that of validations in training.
        configuration
            .first(&["overlap_ratio_final", "training#overlap_ratio"])?
            .map(|value| ("overlap".to_owned(), value)),
    ];
    let map: Map<String, Value> = fields.into_iter().flatten().collect();
    let fields = Arguments {
        path: "configs",
        map: &map,
        root: &map,
    };
    let mut settings = InferenceSettings {
        roi_size: fields.sizes("roi_size")?,
        overlap: fields.numbers_or_one("overlap")?,
        resample_resolution: fields.numbers("resample_resolution")?,
        sigmoid: fields.flag("softmax")?.map(|softmax| !softmax),
        class_names: labels::read(&fields)?,
        ..InferenceSettings::default()
    };
    if let Some(transforms) = configuration.get("transforms_infer")? {
        prepare(&mut settings, &transforms, network, flags)?;
    }
    Ok(settings)
}

fn bundle(
    configuration: &Configuration,
    metadata: &Configuration,
    network: &NetworkConfig,
    flags: &ImportOverrides,
) -> Result<InferenceSettings, FolderSettingsError> {
    let mut settings = InferenceSettings {
        modality: modality(metadata)?,
        class_names: class_names(metadata, network.out_channels())?,
        ..InferenceSettings::default()
    };
    let missing = |list, missing| ComponentError::Missing { list, missing };
    let preprocessing = configuration.get("preprocessing")?;
    let image = match &preprocessing {
        Some(transforms) => prepare(&mut settings, transforms, network, flags)?,
        None if flags.modality.is_some() => None,
        None => return Err(missing("preprocessing", "all transforms").into()),
    };
    if flags.roi.is_none() || flags.overlap.is_none() {
        let inferer = configuration.get("inferer")?;
        let windows = StatedWindows::read(&inferer.ok_or_else(|| missing("inferer", "a class"))?)?;
        settings.roi_size = Some(windows.size);
        settings.overlap = Some(windows.overlap);
        settings.blend = Some(windows.blend);
        settings.padding = Some(windows.padding);
    }
    if flags.activation.is_none() {
        let transforms = configuration.get("postprocessing")?;
        let transforms = transforms.ok_or_else(|| missing("postprocessing", "all transforms"))?;
        let inverted = Inverted {
            transforms: preprocessing.as_ref(),
            image: image.as_deref(),
        };
        let outputs = StatedOutputs::read(&transforms, &inverted)?;
        settings.sigmoid = Some(outputs.is_sigmoid());
        settings.restore = outputs.restore;
    }
    Ok(settings)
}

/// Takes preprocessing from transforms, and gives the name of the images, as far as they are understood.
///
/// **Errors**: a plan cannot express them, and no modality is stated that would.
fn prepare(
    settings: &mut InferenceSettings,
    transforms: &Value,
    network: &NetworkConfig,
    flags: &ImportOverrides,
) -> Result<Option<String>, ComponentError> {
    let prepared = Preparation::read(transforms, network.in_channels());
    let (prepared, stated) = match (prepared, flags.modality) {
        (Ok(prepared), stated) => (prepared, stated),
        (Err(_), Some(_)) => return Ok(None),
        (Err(error), None) => return Err(error),
    };
    settings.modality = settings.modality.or(prepared.modality);
    if stated.is_none() || stated == settings.modality {
        settings.steps = Some(prepared.steps);
    }
    Ok(Some(prepared.image))
}

/// The modality that a bundle's metadata states, if a plan has it.
fn modality(metadata: &Configuration) -> Result<Option<Modality>, ConfigurationError> {
    let stated = metadata.get("network_data_format#inputs#image#modality")?;
    let stated = stated.as_ref().and_then(Value::as_str).unwrap_or_default();
    Ok(match stated.to_ascii_lowercase().as_str() {
        "ct" => Some(Modality::Ct),
        "mr" | "mri" => Some(Modality::Mri),
        "pt" | "pet" => Some(Modality::Pet),
        _ => None,
    })
}

/// The names of all outputs, if a bundle's metadata has one for each.
fn class_names(
    metadata: &Configuration,
    outputs: usize,
) -> Result<Option<Vec<ClassName>>, ConfigurationError> {
    let named = metadata.get("network_data_format#outputs#pred#channel_def")?;
    let names = (0..outputs).map(|class| {
        let name = named.as_ref()?.get(class.to_string())?.as_str()?;
        Some(ClassName {
            name: name.to_owned(),
            index: None,
        })
    });
    Ok(names.collect())
}
