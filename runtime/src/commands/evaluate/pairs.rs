//! Which prediction belongs to which truth.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use vesal_io::sniff;

use crate::case::{FindError, images_in};
use crate::cli::DatalistPart;

/// Endings of predicted label maps, in the order in which they are looked for.
const ENDINGS: [&str; 2] = [".nii.gz", ".nii"];

/// A case to compare.
#[derive(Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its name, as `predict` names its output.
    pub case: String,
    /// The true label map.
    pub truth: PathBuf,
    /// The predicted one; `None` where there is no file.
    pub prediction: Option<PathBuf>,
}

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The truth cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The folder of the truth cannot be used.
    #[error(transparent)]
    Find(#[from] FindError),
    /// No folder and no datalist.
    #[error("`{}` is neither a folder of label maps nor a datalist", path.display())]
    Datalist {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: serde_json::Error,
    },
    /// No case to compare.
    #[error("`{}` has no case with a `label` under `{list}`", path.display())]
    NoLabels {
        /// The datalist.
        path: PathBuf,
        /// The list that was looked into.
        list: &'static str,
    },
    /// The folder of predictions is absent.
    #[error("`{}` is no folder, expected one with predictions", path.display())]
    NoPredictions {
        /// The path.
        path: PathBuf,
    },
}

impl PairError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Find(error) => error.hint(),
            Self::Datalist { .. } => Some(
                "a datalist is `{\"testing\": [{\"image\": \"images/a.nii.gz\", \"label\": \"labels/a.nii.gz\"}]}`"
                    .into(),
            ),
            Self::NoLabels { .. } => {
                Some("`--list` chooses among `testing`, `training` and `validation`".into())
            }
            Self::NoPredictions { .. } => {
                Some("`vesal predict --output DIR` writes predictions into a folder".into())
            }
            Self::Read { .. } => None,
        }
    }
}

/// What a case of a datalist says that matters here.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Item {
    Case {
        image: OneOrMany,
        label: Option<OneOrMany>,
    },
    Image(#[expect(dead_code, reason = "an item without a label is left out")] String),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Datalist {
    testing: Vec<Item>,
    training: Vec<Item>,
    validation: Vec<Item>,
}

/// Finds the cases of a truth: a folder of label maps, or a list of a datalist.
///
/// **Errors**: [`PairError`].
pub fn find(
    truth: &Path,
    part: DatalistPart,
    dataroot: Option<&Path>,
    predictions: &Path,
    suffix: &str,
) -> Result<Vec<Pair>, PairError> {
    if !predictions.is_dir() {
        return Err(PairError::NoPredictions {
            path: predictions.to_owned(),
        });
    }
    let existing = |names: &[String]| {
        let files = names.iter().flat_map(|name| {
            ENDINGS.map(|ending| predictions.join(format!("{name}{suffix}{ending}")))
        });
        files.into_iter().find(|file| file.is_file())
    };
    if truth.is_dir() {
        let images = images_in(truth)?;
        if images.is_empty() {
            return Err(FindError::NoImages {
                path: truth.to_owned(),
            }
            .into());
        }
        let named = images
            .into_iter()
            .filter_map(|path| Some((sniff::case_name(&path)?, path)));
        return Ok(named
            .map(|(case, truth)| Pair {
                prediction: existing(std::slice::from_ref(&case)),
                case,
                truth,
            })
            .collect());
    }
    let bytes = fs::read(truth).map_err(|source| PairError::Read {
        path: truth.to_owned(),
        source,
    })?;
    let datalist: Datalist =
        serde_json::from_slice(&bytes).map_err(|source| PairError::Datalist {
            path: truth.to_owned(),
            source,
        })?;
    let (items, list) = match part {
        DatalistPart::Testing => (datalist.testing, "testing"),
        DatalistPart::Training => (datalist.training, "training"),
        DatalistPart::Validation => (datalist.validation, "validation"),
    };
    let folder = truth.parent().unwrap_or(Path::new(""));
    let root = dataroot.unwrap_or(folder);
    let pairs: Vec<Pair> = items
        .into_iter()
        .filter_map(|item| {
            let (images, label) = labelled(item)?;
            let names = case_names(&images);
            Some(Pair {
                case: names.first()?.clone(),
                truth: root.join(label),
                prediction: existing(&names),
            })
        })
        .collect();
    if pairs.is_empty() {
        return Err(PairError::NoLabels {
            path: truth.to_owned(),
            list,
        });
    }
    Ok(pairs)
}

/// Images and label map of an item that has one.
fn labelled(item: Item) -> Option<(Vec<String>, String)> {
    let Item::Case {
        image,
        label: Some(label),
    } = item
    else {
        return None;
    };
    let list = |files| match files {
        OneOrMany::One(file) => vec![file],
        OneOrMany::Many(files) => files,
    };
    Some((list(image), list(label).into_iter().next()?))
}

/// What `predict` may have called a case: its only image, or what its images `CASE_CHANNEL` have in common.
fn case_names(images: &[String]) -> Vec<String> {
    let stems: Vec<String> = images
        .iter()
        .filter_map(|image| sniff::case_name(Path::new(image)))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(images: &[&str]) -> Vec<String> {
        let images: Vec<_> = images.iter().map(|&image| image.to_owned()).collect();
        case_names(&images)
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
    fn a_datalist_gives_the_cases_with_labels() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("datalist.json");
        let text = r#"{"name": "x", "testing": ["c.nii.gz", {"image": "images/a.nii.gz", "label": "labels/a.nii.gz"},
            {"image": ["b.nii"], "label": ["bl.nii"], "fold": 1}, {"image": "d.nii"}]}"#;
        fs::write(&list, text).unwrap();
        fs::write(folder.path().join("b_seg.nii"), "").unwrap();
        let find = |part| find(&list, part, None, folder.path(), "_seg");
        let pairs = find(DatalistPart::Testing).unwrap();
        assert_eq!(pairs.len(), 2);
        assert_eq!((pairs[0].case.as_str(), &pairs[0].prediction), ("a", &None));
        assert_eq!(pairs[0].truth, folder.path().join("labels/a.nii.gz"));
        assert_eq!(pairs[1].prediction, Some(folder.path().join("b_seg.nii")));
        let error = find(DatalistPart::Training).unwrap_err();
        assert!(error.to_string().contains("under `training`"), "{error}");
        fs::write(&list, "images").unwrap();
        let error = find(DatalistPart::Testing).unwrap_err();
        assert!(matches!(error, PairError::Datalist { .. }));
    }
}
