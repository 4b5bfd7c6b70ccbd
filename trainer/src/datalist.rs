//! The datalist: which files make a case, in Auto3DSeg's JSON.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value, json};
use thiserror::Error;

/// Keys of the lists that are read.
const TRAINING: &str = "training";
const VALIDATION: &str = "validation";
const TESTING: &str = "testing";
/// Endings that are no part of a case's name.
const EXTENSIONS: [&str; 6] = [".nii.gz", ".nii", ".hdr.gz", ".img.gz", ".hdr", ".img"];

/// One subject at one time, with files as the datalist names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Name, unique in its datalist: the first image's file name without extension; where several cases share that,
    /// their whole path with `_` for `/`, and where they share that as well, with `_2` and so on.
    pub id: String,
    /// Files of the channels that share the first grid, relative to the data root; none where the datalist names a label
    /// map alone, which the analysis reports.
    pub images: Vec<String>,
    /// Files of further images on grids of their own, in the order of [`Datalist::further`].
    pub further: Vec<String>,
    /// File of the label map, relative to the data root.
    pub label: Option<String>,
    /// Fold in which the case is held out, where the datalist gives one.
    pub fold: Option<usize>,
    /// Whose case it is, where the datalist says so: cases of one patient are never on both sides of a fold.
    pub patient: Option<String>,
}

impl Case {
    /// All files: images, further images and the label map.
    pub fn files(&self) -> impl Iterator<Item = &String> {
        self.images.iter().chain(&self.further).chain(&self.label)
    }

    /// The file that the case is named after.
    fn first_file(&self) -> &str {
        let first = self.images.first().or(self.label.as_ref());
        first.map_or("", String::as_str)
    }
}

/// The cases of a datalist.
///
/// **Definition**: `{"training": [{"image": FILE or [FILES], "label": FILE, "fold": N, "patient": TEXT}],
/// "validation": [...], "testing": [...]}`, and a file for each of the keys that the task has under
/// `extra_modalities`. Other keys are left alone, apart from images that the task does not name, such as `image2`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Datalist {
    /// Cases to train on, and if they have folds, to validate on.
    pub training: Vec<Case>,
    /// Cases to validate on.
    pub validation: Vec<Case>,
    /// Cases without a part in the training.
    pub testing: Vec<Case>,
    /// Keys of images on grids of their own.
    pub further: Vec<String>,
}

/// Why a datalist cannot be used.
#[derive(Debug, Error)]
pub enum DatalistError {
    /// Not JSON.
    #[error("the datalist is not JSON")]
    Json {
        /// Where and what.
        source: serde_json::Error,
    },
    /// JSON of another form.
    #[error("the datalist has {found} as `{list}`, expected a list of cases")]
    List {
        /// The list.
        list: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// No case to train on.
    #[error("the datalist has no case under `training`")]
    Empty,
    /// One item breaks a rule.
    #[error("item {index} of `{list}` in the datalist: {rule}")]
    Item {
        /// The list.
        list: &'static str,
        /// Position in it, from 0.
        index: usize,
        /// The rule.
        rule: ItemError,
    },
}

/// Why an item is no case.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ItemError {
    /// Not an object.
    #[error("it is {found}, expected an object with `image` and `label`")]
    NoObject {
        /// What it is.
        found: &'static str,
    },
    /// No image.
    #[error("it has no `image`, expected a file or a list of files")]
    NoImage,
    /// Something else than files.
    #[error("`{key}` is {found}, expected {expected}")]
    Files {
        /// The key.
        key: String,
        /// What it is.
        found: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A fold that is no number.
    #[error("`fold` is {found}, expected a whole number from 0")]
    Fold {
        /// What it is.
        found: String,
    },
    /// An image that the task does not name.
    #[error("it has an image under `{key}`, which the task does not name under `extra_modalities`")]
    UnknownImage {
        /// The key.
        key: String,
    },
    /// An image that the task names is not there.
    #[error("it has no `{key}`, which the task names under `extra_modalities`")]
    MissingImage {
        /// The key.
        key: String,
    },
    /// A patient that is no text.
    #[error("`patient` is {found}, expected a text or a number")]
    Patient {
        /// What it is.
        found: &'static str,
    },
    /// A path that the data root cannot carry along.
    #[error("`{path}` is outside of the data root")]
    Outside {
        /// The path.
        path: String,
    },
}

impl DatalistError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Item {
                rule: ItemError::Outside { .. },
                ..
            } => Some(
                "set `dataroot` to a folder that holds all files, and list them relative to it",
            ),
            Self::Item {
                rule: ItemError::UnknownImage { .. },
                ..
            } => Some(
                "channels on one grid are a list under `image`; an image on a grid of its own needs an entry such as \
                 `extra_modalities: {image2: pet}` in the task",
            ),
            Self::Empty | Self::List { .. } => Some(
                "a datalist is `{\"training\": [{\"image\": \"images/a.nii.gz\", \"label\": \"labels/a.nii.gz\"}]}`",
            ),
            _ => None,
        }
    }
}

impl Datalist {
    /// Decodes a datalist; absolute paths become relative to `dataroot`. `further` has the keys of images on grids of
    /// their own.
    ///
    /// **Errors**: [`DatalistError`] names the list and the item.
    pub fn from_json(
        bytes: &[u8],
        dataroot: &Path,
        further: &[String],
    ) -> Result<Self, DatalistError> {
        let value: Value =
            serde_json::from_slice(bytes).map_err(|source| DatalistError::Json { source })?;
        let Value::Object(mut lists) = value else {
            return Err(DatalistError::List {
                list: TRAINING,
                found: kind(&value),
            });
        };
        let mut datalist = Self {
            training: cases(&mut lists, TRAINING, dataroot, further)?,
            validation: cases(&mut lists, VALIDATION, dataroot, further)?,
            testing: cases(&mut lists, TESTING, dataroot, further)?,
            further: further.to_vec(),
        };
        if datalist.training.is_empty() {
            return Err(DatalistError::Empty);
        }
        datalist.name_cases();
        Ok(datalist)
    }

    /// The bytes of a file that reads as this datalist.
    pub fn to_json(&self) -> Vec<u8> {
        let mut lists = Map::new();
        for (list, cases) in [
            (TRAINING, &self.training),
            (VALIDATION, &self.validation),
            (TESTING, &self.testing),
        ] {
            if !cases.is_empty() || list == TRAINING {
                lists.insert(
                    list.to_owned(),
                    cases.iter().map(|case| self.item(case)).collect(),
                );
            }
        }
        let mut text = format!("{:#}", Value::Object(lists));
        text.push('\n');
        text.into_bytes()
    }

    fn item(&self, case: &Case) -> Value {
        let mut item = Map::new();
        match case.images.as_slice() {
            [] => None,
            [image] => item.insert("image".to_owned(), json!(image)),
            images => item.insert("image".to_owned(), json!(images)),
        };
        for (key, file) in self.further.iter().zip(&case.further) {
            item.insert(key.clone(), json!(file));
        }
        if let Some(label) = &case.label {
            item.insert("label".to_owned(), json!(label));
        }
        if let Some(fold) = case.fold {
            item.insert("fold".to_owned(), json!(fold));
        }
        if let Some(patient) = &case.patient {
            item.insert("patient".to_owned(), json!(patient));
        }
        Value::Object(item)
    }

    /// Gives every case its unique name.
    fn name_cases(&mut self) {
        let mut shared = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for case in self.training.iter().chain(&self.validation) {
            if !seen.insert(stem(case.first_file())) {
                shared.insert(stem(case.first_file()));
            }
        }
        let mut taken = BTreeSet::new();
        for case in self.training.iter_mut().chain(&mut self.validation) {
            let first = name(case.first_file(), &shared);
            let further = (2..).map(|count| format!("{first}_{count}"));
            let free = std::iter::once(first.clone())
                .chain(further)
                .find(|id| taken.insert(id.clone()));
            case.id = free.unwrap_or(first);
        }
        for case in &mut self.testing {
            case.id = name(case.first_file(), &shared);
        }
    }
}

/// File name without the ending of an image.
pub(crate) fn stem(path: &str) -> String {
    without_extension(path.rsplit('/').next().unwrap_or(path)).to_owned()
}

fn name(path: &str, shared: &BTreeSet<String>) -> String {
    let stem = stem(path);
    if shared.contains(&stem) {
        without_extension(path).replace('/', "_")
    } else {
        stem
    }
}

fn without_extension(name: &str) -> &str {
    let lower = name.to_ascii_lowercase();
    let ending = EXTENSIONS
        .into_iter()
        .find(|ending| lower.ends_with(ending));
    ending.map_or(name, |ending| &name[..name.len() - ending.len()])
}

fn cases(
    lists: &mut Map<String, Value>,
    list: &'static str,
    dataroot: &Path,
    further: &[String],
) -> Result<Vec<Case>, DatalistError> {
    let items = match lists.remove(list) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => {
            return Err(DatalistError::List {
                list,
                found: kind(&other),
            });
        }
    };
    let in_list = |(index, value)| {
        // Auto3DSeg lists test cases as bare files, too.
        let parsed = match value {
            Value::String(_) if list == TESTING => {
                parse(json!({ "image": value }), dataroot, further)
            }
            value => parse(value, dataroot, further),
        };
        parsed.map_err(|rule| DatalistError::Item { list, index, rule })
    };
    items.into_iter().enumerate().map(in_list).collect()
}

fn parse(value: Value, dataroot: &Path, further: &[String]) -> Result<Case, ItemError> {
    let Value::Object(mut item) = value else {
        return Err(ItemError::NoObject {
            found: kind(&value),
        });
    };
    let mut take = |key: &str| item.remove(key).filter(|value| !value.is_null());
    let images = take("image").map(|value| files("image", value, dataroot));
    let images = images.transpose()?.unwrap_or_default();
    // A label map alone is left to the analysis, which reports it.
    let further = if images.is_empty() { &[] } else { further };
    let further = further.iter().map(|key| {
        let value = take(key).ok_or_else(|| ItemError::MissingImage { key: key.clone() })?;
        one_file(key, value, dataroot)
    });
    let further = further.collect::<Result<_, _>>()?;
    let label = take("label")
        .map(|value| one_file("label", value, dataroot))
        .transpose()?;
    if images.is_empty() && label.is_none() {
        return Err(ItemError::NoImage);
    }
    let fold = take("fold").map(|value| {
        let whole = value.as_u64().and_then(|fold| usize::try_from(fold).ok());
        whole.ok_or_else(|| ItemError::Fold {
            found: value.to_string(),
        })
    });
    let patient = take("patient").map(|value| match value {
        Value::String(name) => Ok(name),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(ItemError::Patient {
            found: kind(&other),
        }),
    });
    let case = Case {
        id: String::new(),
        images,
        further,
        label,
        fold: fold.transpose()?,
        patient: patient.transpose()?,
    };
    match item.keys().find(|key| key.starts_with("image")) {
        Some(key) => Err(ItemError::UnknownImage { key: key.clone() }),
        None => Ok(case),
    }
}

fn one_file(key: &str, value: Value, dataroot: &Path) -> Result<String, ItemError> {
    match <[String; 1]>::try_from(files(key, value, dataroot)?) {
        Ok([file]) => Ok(file),
        Err(_) => Err(ItemError::Files {
            key: key.to_owned(),
            found: "a list of several files",
            expected: "one file",
        }),
    }
}

fn files(key: &str, value: Value, dataroot: &Path) -> Result<Vec<String>, ItemError> {
    let wrong = |found| ItemError::Files {
        key: key.to_owned(),
        found,
        expected: "a file or a list of files",
    };
    let values = match value {
        Value::Array(values) => values,
        value => vec![value],
    };
    if values.is_empty() {
        return Err(wrong("an empty list"));
    }
    let file = |value: Value| match value {
        Value::String(path) if !path.is_empty() => relative(&path, dataroot),
        other => Err(wrong(kind(&other))),
    };
    values.into_iter().map(file).collect()
}

/// A path without its data root; `.` is dropped, and what would leave the data root is an error.
fn relative(path: &str, dataroot: &Path) -> Result<String, ItemError> {
    let outside = || ItemError::Outside {
        path: path.to_owned(),
    };
    let as_path = Path::new(path);
    let inner = if as_path.is_absolute() {
        let root = std::path::absolute(dataroot).unwrap_or_else(|_| dataroot.to_owned());
        as_path
            .strip_prefix(&root)
            .map_err(|_| outside())?
            .to_owned()
    } else {
        PathBuf::from(path)
    };
    let mut parts = Vec::new();
    for component in inner.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir => parts.pop().map(drop).ok_or_else(outside)?,
            Component::RootDir | Component::Prefix(_) => return Err(outside()),
        }
    }
    if parts.is_empty() {
        Err(outside())
    } else {
        Ok(parts.join("/"))
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(text) if text.is_empty() => "an empty text",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
