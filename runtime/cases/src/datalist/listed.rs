//! One list of a datalist, for prediction and evaluation.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vesal_io::image::case_name;

use super::error::{DatalistError, ItemError};
use super::item::{DatalistItem, List, Lists};

/// Why a list of a datalist cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// It is not JSON.
    #[error("`{}` is neither a folder nor a datalist", path.display())]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    /// It is JSON of another form, or an item breaks a rule.
    #[error("cannot use `{}`", path.display())]
    Rule {
        path: PathBuf,
        source: DatalistError,
    },
    /// No case in the list.
    #[error("`{}` has no case under `{list}`", path.display())]
    Empty { path: PathBuf, list: &'static str },
    /// No case of the fold in the list.
    #[error("`{}` has no case of fold {fold} under `{list}`", path.display())]
    NoFold {
        path: PathBuf,
        list: &'static str,
        fold: usize,
    },
}

impl ListError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => None,
            Self::NoFold { .. } => {
                Some("the `datalist.json` of a work directory has the folds that its runs held out")
            }
            Self::Json { .. } | Self::Rule { .. } => Some(
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
pub struct ListedCase {
    /// Files of the channels on the first grid.
    pub images: Vec<PathBuf>,
    /// Files under other keys: images on grids of their own.
    pub further: BTreeMap<String, PathBuf>,
    /// The true label map.
    pub label: Option<PathBuf>,
    /// Fold that the case is held out in.
    pub fold: Option<usize>,
}

/// Whether a path is a datalist by its name.
pub fn is_datalist(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// Reads one list; its paths start from `dataroot`, or else from the folder of the datalist. Items without an image are
/// left out.
///
/// **Errors**: [`ListError`].
pub fn read(
    path: &Path,
    list: List,
    dataroot: Option<&Path>,
) -> Result<Vec<ListedCase>, ListError> {
    let bytes = fs::read(path).map_err(|source| ListError::Read {
        path: path.to_owned(),
        source,
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let root = dataroot.unwrap_or(folder);
    let listed = Lists::from_json(&bytes)
        .and_then(|mut lists| lists.take(list, |value| located(value, root)))
        .map_err(|error| match error {
            DatalistError::Json { source } => ListError::Json {
                path: path.to_owned(),
                source,
            },
            source => ListError::Rule {
                path: path.to_owned(),
                source,
            },
        })?;
    if listed.is_empty() {
        return Err(ListError::Empty {
            path: path.to_owned(),
            list: list.key(),
        });
    }
    let mut listed = listed;
    listed.retain(|case| !case.images.is_empty());
    Ok(listed)
}

fn located(value: Value, root: &Path) -> Result<ListedCase, ItemError> {
    let mut item = DatalistItem::or_image(value)?;
    let images = item.images()?.iter().map(|file| root.join(file)).collect();
    let label = item.file("label")?.map(|file| root.join(file));
    // What is no number is no fold; training is stricter.
    let fold = item.0.get("fold").and_then(Value::as_u64);
    // Other keys need not be files; the bundle determines which of them are images.
    let file = |(key, value): (String, Value)| {
        let value = match value {
            Value::Array(files) => files.into_iter().next()?,
            value => value,
        };
        Some((key, root.join(value.as_str()?)))
    };
    Ok(ListedCase {
        images,
        further: item.0.into_iter().filter_map(file).collect(),
        label,
        fold: fold.and_then(|fold| usize::try_from(fold).ok()),
    })
}

impl ListedCase {
    /// Names that `predict` may have given the case: that of its only image, or the common prefix of its images
    /// `CASE_CHANNEL`.
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
        let case = ListedCase {
            images: images.iter().map(PathBuf::from).collect(),
            further: BTreeMap::new(),
            label: None,
            fold: None,
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
        let cases = read(&path, List::Testing, Some(Path::new("/data"))).unwrap();
        assert_eq!(cases.len(), 2);
        assert_eq!(cases[0].images, [PathBuf::from("/data/a.nii")]);
        assert_eq!(cases[1].further["pet"], Path::new("/data/c.nii"));
        assert_eq!((cases[0].fold, cases[1].fold), (None, Some(1)));
        assert_eq!(cases[1].label.as_deref(), Some(Path::new("/data/l.nii")));
        let error = read(&path, List::Training, None).unwrap_err();
        assert!(
            error.to_string().contains("no case under `training`"),
            "{error}"
        );
    }
}
