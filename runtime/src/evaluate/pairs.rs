//! Pairs of predictions and truths.

use std::path::{Path, PathBuf};

use vesal_cases::datalist::List;
use vesal_cases::datalist::listed::{self, ListError};
use vesal_cases::{FindError, images_in};
use vesal_io::image::{case_name, endings};

/// A case to compare.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// Its name, as `predict` names its output.
    pub case: String,
    /// The true label map.
    pub truth: PathBuf,
    /// The predicted one; `None` where there is no file.
    pub prediction: Option<PathBuf>,
}

/// Why nothing can be compared.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The folder of the truth cannot be used.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The datalist cannot be used.
    #[error(transparent)]
    Datalist(#[from] ListError),
    /// The list has no case with a label map.
    #[error("`{}` has no case with a `label` under `{list}`", path.display())]
    NoLabels {
        path: PathBuf,
        /// The searched list.
        list: &'static str,
    },
    /// The folder of predictions is absent.
    #[error("`{}` is not a folder, expected one with predictions", path.display())]
    NoPredictions { path: PathBuf },
}

impl PairError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Find(error) => error.hint(),
            Self::Datalist(error) => error.hint().map(str::to_owned),
            Self::NoLabels { .. } => {
                Some("`--list` chooses among `testing`, `training` and `validation`".into())
            }
            Self::NoPredictions { .. } => {
                Some("`vesal predict --output DIR` writes predictions into a folder".into())
            }
        }
    }
}

/// Finds the cases of a truth: a folder of label maps, or a list of a datalist.
///
/// **Errors**: [`PairError`].
pub(super) fn find(
    truth: &Path,
    list: List,
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
        let mut files = names.iter().flat_map(|name| {
            endings().map(move |ending| predictions.join(format!("{name}{suffix}{ending}")))
        });
        files.find(|file| file.is_file())
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
            .filter_map(|path| Some((case_name(&path)?, path)));
        return Ok(named
            .map(|(case, truth)| Pair {
                prediction: existing(std::slice::from_ref(&case)),
                case,
                truth,
            })
            .collect());
    }
    let items = listed::read(truth, list, dataroot)?;
    let pairs: Vec<Pair> = items
        .into_iter()
        .filter_map(|item| {
            let names = item.names();
            Some(Pair {
                case: names.first()?.clone(),
                truth: item.label?,
                prediction: existing(&names),
            })
        })
        .collect();
    if pairs.is_empty() {
        return Err(PairError::NoLabels {
            path: truth.to_owned(),
            list: list.key(),
        });
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_datalist_gives_the_cases_with_labels() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("datalist.json");
        let text = r#"{"name": "x", "testing": ["c.nii.gz", {"image": "images/a.nii.gz", "label": "labels/a.nii.gz"},
            {"image": ["b.nii"], "label": ["bl.nii"], "fold": 1}, {"image": "d.nii"}]}"#;
        fs::write(&file, text).unwrap();
        fs::write(folder.path().join("b_seg.nii"), "").unwrap();
        let find = |list| find(&file, list, None, folder.path(), "_seg");
        let pairs = find(List::Testing).unwrap();
        assert_eq!(pairs.len(), 2);
        assert_eq!((pairs[0].case.as_str(), &pairs[0].prediction), ("a", &None));
        assert_eq!(pairs[0].truth, folder.path().join("labels/a.nii.gz"));
        assert_eq!(pairs[1].prediction, Some(folder.path().join("b_seg.nii")));
        let error = find(List::Training).unwrap_err();
        assert!(error.to_string().contains("under `training`"), "{error}");
        fs::write(&file, "images").unwrap();
        let error = find(List::Testing).unwrap_err();
        assert!(matches!(error, PairError::Datalist { .. }));
    }
}
