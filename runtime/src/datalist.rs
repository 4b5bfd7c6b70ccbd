//! Datalists in Auto3DSeg's JSON, as far as prediction and evaluation read them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use vesal_io::image::case_name;

use crate::cli::DatalistPart;

/// Why a datalist cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatalistError {
    /// It cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// It is none.
    #[error("`{}` is neither a folder nor a datalist", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: serde_json::Error,
    },
    /// No case in the list.
    #[error("`{}` has no case under `{list}`", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The list.
        list: &'static str,
    },
}

impl DatalistError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => None,
            Self::Json { .. } => Some(
                "a datalist is `{\"testing\": [{\"image\": \"images/a.nii.gz\", \"label\": \"labels/a.nii.gz\"}]}`",
            ),
            Self::Empty { .. } => {
                Some("`--list` chooses among `testing`, `training` and `validation`")
            }
        }
    }
}

/// A case of a datalist, with paths that lead to its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Files of the channels on the first grid.
    pub images: Vec<PathBuf>,
    /// Files under other keys: images on grids of their own.
    pub further: BTreeMap<String, PathBuf>,
    /// The true label map.
    pub label: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Item {
    Case(BTreeMap<String, Value>),
    Image(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Datalist {
    testing: Vec<Item>,
    training: Vec<Item>,
    validation: Vec<Item>,
}

/// Whether a path is meant to be a datalist, by its name.
pub fn is_datalist(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// Reads one list; its paths start from `dataroot`, or else from the folder of the datalist. Items without an image are
/// left out.
///
/// **Errors**: [`DatalistError`].
pub fn read(
    path: &Path,
    part: DatalistPart,
    dataroot: Option<&Path>,
) -> Result<Vec<Listed>, DatalistError> {
    let bytes = fs::read(path).map_err(|source| DatalistError::Read {
        path: path.to_owned(),
        source,
    })?;
    let datalist: Datalist =
        serde_json::from_slice(&bytes).map_err(|source| DatalistError::Json {
            path: path.to_owned(),
            source,
        })?;
    let items = match part {
        DatalistPart::Testing => datalist.testing,
        DatalistPart::Training => datalist.training,
        DatalistPart::Validation => datalist.validation,
    };
    if items.is_empty() {
        return Err(DatalistError::Empty {
            path: path.to_owned(),
            list: part.key(),
        });
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let root = dataroot.unwrap_or(folder);
    let listed = items.into_iter().map(|item| located(item, root));
    Ok(listed.filter(|case| !case.images.is_empty()).collect())
}

fn located(item: Item, root: &Path) -> Listed {
    let fields = match item {
        Item::Case(fields) => fields,
        Item::Image(image) => BTreeMap::from([("image".to_owned(), Value::String(image))]),
    };
    let mut case = Listed {
        images: Vec::new(),
        further: BTreeMap::new(),
        label: None,
    };
    for (key, value) in fields {
        let files = match value {
            Value::Array(files) => files,
            file => vec![file],
        };
        let mut files = files
            .iter()
            .filter_map(|file| Some(root.join(file.as_str()?)));
        match key.as_str() {
            "image" => case.images = files.collect(),
            "label" => case.label = files.next(),
            _ => case.further.extend(files.next().map(|file| (key, file))),
        }
    }
    case
}

impl Listed {
    /// What `predict` may have called the case: its only image, or what its images `CASE_CHANNEL` have in common.
    pub fn names(&self) -> Vec<String> {
        let stems: Vec<String> = self
            .images
            .iter()
            .filter_map(|image| case_name(image))
            .collect();
        let Some(first) = stems.first() else {
            return Vec::new();
        };
        let shared = first
            .char_indices()
            .filter(|(_, character)| *character == '_')
            .map(|(at, _)| &first[..=at])
            .rfind(|start| stems.iter().all(|stem| stem.starts_with(start)))
            .map(|start| start[..start.len() - 1].to_owned());
        match shared {
            Some(shared) if stems.len() > 1 && !shared.is_empty() => vec![shared, first.clone()],
            _ => vec![first.clone()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(images: &[&str]) -> Vec<String> {
        let case = Listed {
            images: images.iter().map(PathBuf::from).collect(),
            further: BTreeMap::new(),
            label: None,
        };
        case.names()
    }

    #[test]
    fn cases_are_called_as_predict_calls_them() {
        assert_eq!(names(&["images/a_1.nii.gz"]), ["a_1"]);
        let several = names(&["x/p_1_t1.nii.gz", "x/p_1_t2.nii.gz"]);
        assert_eq!(several, ["p_1", "p_1_t1"]);
        assert_eq!(names(&["t1.nii", "t2.nii"]), ["t1"]);
        assert!(names(&[]).is_empty());
    }

    #[test]
    fn files_are_found_under_their_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("datalist.json");
        let text = r#"{"testing": ["a.nii", {"image": ["b.nii"], "pet": "c.nii", "label": ["l.nii"], "fold": 1}, {"label": "x"}]}"#;
        fs::write(&path, text).unwrap();
        let cases = read(&path, DatalistPart::Testing, Some(Path::new("/data"))).unwrap();
        assert_eq!(cases.len(), 2);
        assert_eq!(cases[0].images, [PathBuf::from("/data/a.nii")]);
        assert_eq!(cases[1].further["pet"], Path::new("/data/c.nii"));
        assert_eq!(cases[1].label.as_deref(), Some(Path::new("/data/l.nii")));
        let error = read(&path, DatalistPart::Training, None).unwrap_err();
        assert!(
            error.to_string().contains("no case under `training`"),
            "{error}"
        );
    }
}
