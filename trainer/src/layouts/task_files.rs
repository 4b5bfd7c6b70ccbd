//! The task and the datalist of a dataset.

use std::path::Path;

use serde_yaml_ng::{Mapping, Value};
use vesal_bundle::deploy_plan::Modality;
use vesal_bundle::name;
use vesal_cases::datalist::{Case, Datalist};
use vesal_files::AtomicFile;
use vesal_files::atomic::write_file;
use vesal_io::image::read_header;

use super::class_list::ClassList;
use super::error::LayoutError;
use super::found::{FoundCase, FoundDataset};
use super::label_values;
use super::modality::{key, told_by};
use super::oddity::{Oddity, OddityKind};
use super::options::LayoutOptions;
use crate::relative;
use crate::task::Task;

pub(super) const TASK: &str = "task.yaml";
pub(super) const DATALIST: &str = "datalist.json";

/// The channels of a dataset, in the order in which a task has them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DraftChannel {
    name: String,
    modality: Modality,
    /// Position among the files of a case.
    at: usize,
    /// Key in the datalist, if it is a secondary image.
    further: Option<String>,
}

/// A task and a datalist, checked and not yet written.
#[derive(Debug)]
pub struct TaskFiles {
    pub name: String,
    pub classes: ClassList,
    channels: Vec<DraftChannel>,
    task: Vec<u8>,
    datalist: Vec<u8>,
}

impl TaskFiles {
    /// Describes a dataset in a folder for files in `output`, which has to exist. What is odd about its channels and
    /// labels is added to the dataset's oddities.
    ///
    /// **Errors**: [`LayoutError`] where the modality or the classes are unknown, or the task would not be usable.
    pub fn new(
        folder: &Path,
        output: &Path,
        found: &mut FoundDataset,
        options: &LayoutOptions,
    ) -> Result<Self, LayoutError> {
        let name = task_name(folder, found, options)?;
        let channels = channels(folder, found, options)?;
        let mut classes = match found.classes.clone() {
            Some(classes) => classes,
            None => {
                let labels = found
                    .training
                    .iter()
                    .filter_map(|case| case.label.as_deref());
                let labels: Vec<&str> = labels.collect();
                label_values::read(folder, &labels, &mut found.oddities)?
            }
        };
        if !options.class_names.is_empty() {
            classes = classes.named(&options.class_names)?;
        }
        found.oddities.sort_by_key(|oddity| oddity.kind);
        let mut draft = Self {
            name,
            classes,
            channels,
            task: Vec::new(),
            datalist: Vec::new(),
        };
        let absolute = |path: &Path| {
            path.canonicalize().map_err(|source| LayoutError::Folder {
                path: path.to_owned(),
                source,
            })
        };
        let (from, to) = (absolute(output)?, absolute(folder)?);
        let Some(dataroot) = relative::path(&from, &to) else {
            return Err(LayoutError::NoPath { from, to });
        };
        draft.task = draft.task_yaml(&dataroot, &found.layout.to_string())?;
        let datalist = draft.datalist(found);
        draft.datalist = datalist.to_json();
        // What is written has to be readable by the next command.
        let task = Task::from_yaml(&draft.task).map_err(|source| LayoutError::Task {
            source: Box::new(source),
        })?;
        Datalist::from_json(&draft.datalist, folder, &task.further_keys())
            .map_err(|source| LayoutError::Datalist { source })?;
        Ok(draft)
    }

    /// Channels with their modalities, such as `t1 (mri)`.
    pub fn channels(&self) -> Vec<String> {
        let described = |channel: &DraftChannel| {
            let modality = key(channel.modality);
            match &channel.further {
                Some(key) => format!("{} ({modality}, as `{key}`)", channel.name),
                None => format!("{} ({modality})", channel.name),
            }
        };
        self.channels.iter().map(described).collect()
    }

    /// Writes `task.yaml` and `datalist.json` into a folder. Neither is written where one of them exists, unless
    /// `overwrite` is true.
    ///
    /// **Errors**: a file exists or cannot be written.
    pub fn write(&self, output: &Path, overwrite: bool) -> Result<(), LayoutError> {
        let (task, datalist) = (output.join(TASK), output.join(DATALIST));
        for path in [&task, &datalist] {
            // Both are checked before one is written.
            drop(AtomicFile::create(path, overwrite)?);
        }
        write_file(&datalist, &self.datalist, overwrite)?;
        Ok(write_file(&task, &self.task, overwrite)?)
    }

    fn task_yaml(&self, dataroot: &str, layout: &str) -> Result<Vec<u8>, LayoutError> {
        let first = self.channels.first().map(|channel| key(channel.modality));
        let mut entries = Mapping::new();
        let mut add = |key: &str, value: Value| entries.insert(key.into(), value);
        add("name", self.name.as_str().into());
        add("modality", first.unwrap_or_default().into());
        let further: Mapping = self
            .channels
            .iter()
            .filter_map(|channel| {
                let key_of = channel.further.as_deref()?;
                Some((key_of.into(), key(channel.modality).into()))
            })
            .collect();
        if !further.is_empty() {
            add("extra_modalities", further.into());
        }
        add("datalist", DATALIST.into());
        add("dataroot", dataroot.into());
        add("class_names", self.classes.to_yaml());
        let text = serde_yaml_ng::to_string(&entries).map_err(|error| LayoutError::Task {
            source: Box::new(crate::task::TaskError::Yaml {
                source: error.into(),
            }),
        })?;
        let layout = layout.replace(char::is_control, " ");
        let head = "# Made by `vesal-train datalist`. Files: ";
        Ok(format!("{head}{layout}.\n{text}").into_bytes())
    }

    fn datalist(&self, found: &FoundDataset) -> Datalist {
        let of = |cases: &[FoundCase]| -> Vec<Case> {
            cases.iter().map(|case| self.case(case)).collect()
        };
        let keys = self.channels.iter();
        Datalist {
            training: of(&found.training),
            validation: Vec::new(),
            testing: of(&found.testing),
            further: keys.filter_map(|channel| channel.further.clone()).collect(),
        }
    }

    fn case(&self, case: &FoundCase) -> Case {
        let files = |is_further: bool| -> Vec<String> {
            let channels = self.channels.iter();
            channels
                .filter(|channel| channel.further.is_some() == is_further)
                .filter_map(|channel| case.images.get(channel.at).cloned())
                .collect()
        };
        Case {
            id: String::new(),
            images: files(false),
            further: files(true),
            label: case.label.clone(),
            fold: case.fold,
            patient: case.patient.clone(),
        }
    }
}

fn task_name(
    folder: &Path,
    found: &FoundDataset,
    options: &LayoutOptions,
) -> Result<String, LayoutError> {
    let stated = options.name.clone().or_else(|| found.name.clone());
    let stated = stated.map(|name| name.trim().to_owned());
    let stated = stated.filter(|name| !name.is_empty());
    let named = stated.or_else(|| {
        let folder = folder.canonicalize().ok()?;
        Some(folder.file_name()?.to_string_lossy().trim().to_owned())
    });
    let named = named.unwrap_or_default();
    match name::check(&named) {
        Ok(()) => Ok(named),
        Err(source) => Err(LayoutError::Name {
            name: named,
            source,
        }),
    }
}

/// The channels with their modalities. Those of another modality than the first one, and those on another grid, become
/// secondary images.
fn channels(
    folder: &Path,
    found: &mut FoundDataset,
    options: &LayoutOptions,
) -> Result<Vec<DraftChannel>, LayoutError> {
    let told: Vec<Option<Modality>> = found
        .channels
        .iter()
        .map(|channel| options.modality.or_else(|| told_by(channel)))
        .collect();
    if told.iter().any(Option::is_none) {
        let untold = found.channels.iter().zip(&told);
        let channels = untold.filter(|(_, told)| told.is_none());
        return Err(LayoutError::Modality {
            channels: channels.map(|(name, _)| name.clone()).collect(),
        });
    }
    let named = found.channels.iter().zip(told.into_iter().flatten());
    let mut channels: Vec<DraftChannel> = named
        .enumerate()
        .map(|(at, (name, modality))| DraftChannel {
            name: name.clone(),
            modality,
            at,
            further: None,
        })
        .collect();
    let modality = channels.first().map(|channel| channel.modality);
    let is_mixed = channels
        .iter()
        .any(|channel| Some(channel.modality) != modality);
    if found.in_one_file {
        if is_mixed {
            let mut modalities: Vec<String> = Vec::new();
            for channel in &channels {
                let key = key(channel.modality).to_owned();
                if !modalities.contains(&key) {
                    modalities.push(key);
                }
            }
            return Err(LayoutError::MixedFile { modalities });
        }
        // The one file of a case is its first, whatever it holds.
        return Ok(channels);
    }
    if channels.len() < 2 {
        return Ok(channels);
    }
    let on_grid = on_grid(folder, found);
    let first = on_grid.iter().position(|is_on| *is_on).unwrap_or(0);
    let is_known = on_grid.iter().any(|is_on| *is_on);
    let modality = channels[first].modality;
    let mut own = Vec::new();
    for (channel, is_on) in channels.iter_mut().zip(on_grid) {
        let is_apart = is_known && !is_on;
        if is_apart {
            own.push(channel.name.clone());
        }
        if is_apart || channel.modality != modality {
            channel.further = Some(further_key(&channel.name));
        }
    }
    if !own.is_empty() {
        found.oddities.push(Oddity::new(OddityKind::OwnGrids, own));
    }
    channels.sort_by_key(|channel| channel.further.is_some());
    Ok(channels)
}

/// Whether a channel is on the grid of the label map, or of the first image, in every case whose headers can be read.
fn on_grid(folder: &Path, found: &FoundDataset) -> Vec<bool> {
    let mut shares = vec![true; found.channels.len()];
    for case in &found.training {
        let Some(reference) = case.label.as_ref().or(case.images.first()) else {
            continue;
        };
        let Ok(reference) = read_header(folder.join(reference)) else {
            continue;
        };
        for (share, image) in shares
            .iter_mut()
            .zip(&case.images)
            .filter(|(share, _)| **share)
        {
            if let Ok(header) = read_header(folder.join(image)) {
                *share = header.geometry.check_same_grid(&reference.geometry).is_ok();
            }
        }
    }
    shares
}

/// The key of a secondary image.
fn further_key(name: &str) -> String {
    let key: String = name
        .chars()
        .map(|character| match character.is_ascii_alphanumeric() {
            true => character.to_ascii_lowercase(),
            false => '_',
        })
        .collect();
    match key.as_str() {
        "image" | "label" | "fold" | "patient" => format!("{key}_2"),
        _ => key,
    }
}
