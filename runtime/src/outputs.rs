//! Output files, and checks against collisions and overwriting before any work.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::options::OutputFormat;

/// The files of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outputs {
    /// The result in each format.
    pub found: Vec<(OutputFormat, PathBuf)>,
    /// Probabilities of all classes, if requested.
    pub probabilities: Option<PathBuf>,
}

/// Why outputs cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Two results have the same file.
    #[error("{first} and {second} would both be written to `{}`", path.display())]
    Collision {
        first: String,
        second: String,
        path: PathBuf,
    },
    /// A result has the file of an input.
    #[error("{of} would be written over the input `{}`", path.display())]
    Input { of: String, path: PathBuf },
    /// Results exist already.
    #[error("{count} of {total} outputs exist already, the first is `{}`", path.display())]
    Exist {
        count: usize,
        total: usize,
        path: PathBuf,
    },
    /// A file's folder does not exist.
    #[error("cannot write `{}`: its folder `{}` does not exist", path.display(), folder.display())]
    NoFolder { path: PathBuf, folder: PathBuf },
    /// The output folder cannot be made.
    #[error("cannot create the folder `{}`: {reason}", path.display())]
    Folder { path: PathBuf, reason: io::Error },
}

impl OutputError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Collision { .. } => {
                Some("run them one after the other with different folders for `--output`")
            }
            Self::Input { .. } => {
                Some("choose another folder for `--output` or another `--suffix`")
            }
            Self::Exist { .. } => Some("pass `--overwrite` to replace them"),
            Self::NoFolder { .. } => Some("create the folder first"),
            Self::Folder { .. } => None,
        }
    }
}

impl Outputs {
    /// The files of a case in a folder.
    pub fn new(
        folder: &Path,
        case: &str,
        suffix: &str,
        formats: &[OutputFormat],
        probabilities: bool,
    ) -> Self {
        let name = |format: OutputFormat| match format {
            OutputFormat::Nifti => format!("{case}{suffix}.nii.gz"),
            OutputFormat::Seg => format!("{case}{suffix}.dcm"),
            OutputFormat::Labelmap => format!("{case}_labelmap.dcm"),
            OutputFormat::Rtstruct => format!("{case}_rtstruct.dcm"),
            OutputFormat::Report => format!("{case}_report.dcm"),
        };
        Self {
            found: formats
                .iter()
                .map(|&format| (format, folder.join(name(format))))
                .collect(),
            probabilities: probabilities.then(|| folder.join(format!("{case}_prob.nii.gz"))),
        }
    }
}

/// All files to be written, by path, with a phrase for their origin.
#[derive(Debug, Default)]
pub struct Claims(BTreeMap<PathBuf, String>);

impl Claims {
    /// Records the files of the case whose first file is `input`.
    ///
    /// **Errors**: [`OutputError::Collision`].
    pub fn claim(&mut self, input: &Path, outputs: &Outputs) -> Result<(), OutputError> {
        for (format, path) in &outputs.found {
            let what = match format {
                OutputFormat::Nifti => "label map",
                OutputFormat::Seg => "DICOM segmentation",
                OutputFormat::Labelmap => "DICOM label map",
                OutputFormat::Rtstruct => "structure set",
                OutputFormat::Report => "report",
            };
            self.claim_file(path, format!("the {what} of `{}`", input.display()))?;
        }
        let Some(probabilities) = &outputs.probabilities else {
            return Ok(());
        };
        self.claim_file(
            probabilities,
            format!("the probabilities of `{}`", input.display()),
        )
    }

    /// Records one file, with a phrase for its origin.
    ///
    /// **Errors**: [`OutputError::Collision`].
    pub fn claim_file(&mut self, path: &Path, of: String) -> Result<(), OutputError> {
        match self.0.insert(path.to_owned(), of.clone()) {
            Some(first) => Err(OutputError::Collision {
                first,
                second: of,
                path: path.to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Checks that no input is overwritten, and no other file unless `overwrite` is set.
    ///
    /// **Errors**: [`OutputError::Input`], [`OutputError::Exist`].
    pub fn check<'a>(
        &self,
        inputs: impl Iterator<Item = &'a Path>,
        overwrite: bool,
    ) -> Result<(), OutputError> {
        let existing: BTreeMap<_, _> = self
            .0
            .iter()
            .filter_map(|(path, of)| Some((path.canonicalize().ok()?, of)))
            .collect();
        for input in inputs {
            if let Some(of) = input
                .canonicalize()
                .ok()
                .and_then(|path| existing.get(&path))
            {
                return Err(OutputError::Input {
                    of: (*of).clone(),
                    path: input.to_owned(),
                });
            }
        }
        // A dangling link counts as existing, because the file would replace it.
        let mut taken = self.0.keys().filter(|path| path.symlink_metadata().is_ok());
        match taken.next() {
            Some(path) if !overwrite => Err(OutputError::Exist {
                count: 1 + taken.count(),
                total: self.0.len(),
                path: path.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// Creates the folder for outputs if it does not exist.
///
/// **Errors**: [`OutputError::Folder`].
pub fn create_folder(path: &Path) -> Result<(), OutputError> {
    fs::create_dir_all(path).map_err(|reason| OutputError::Folder {
        path: path.to_owned(),
        reason,
    })
}

/// Checks that the folder of a file exists.
///
/// **Errors**: [`OutputError::NoFolder`].
pub fn check_folder_of(path: &Path) -> Result<(), OutputError> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(OutputError::NoFolder {
                path: path.to_owned(),
                folder: folder.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_that_want_one_file_are_named() {
        let mut claims = Claims::default();
        let outputs = |case: &str, suffix: &str| {
            Outputs::new(Path::new("out"), case, suffix, &[OutputFormat::Nifti], true)
        };
        claims
            .claim(Path::new("a.nii"), &outputs("a", "_seg"))
            .unwrap();
        let error = claims
            .claim(Path::new("x/a.nii"), &outputs("a", "_seg"))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the label map of `a.nii` and the label map of `x/a.nii` would both be written to `out/a_seg.nii.gz`"
        );
        let error = claims
            .claim(Path::new("b.nii"), &outputs("b", "_prob"))
            .unwrap_err();
        assert!(matches!(error, OutputError::Collision { .. }));
    }

    #[test]
    fn inputs_are_safe_even_when_outputs_may_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.nii.gz");
        fs::write(&path, b"scan").unwrap();
        let mut claims = Claims::default();
        claims
            .claim(
                Path::new("other.nii"),
                &Outputs::new(folder.path(), "a", "", &[OutputFormat::Nifti], false),
            )
            .unwrap();
        let error = claims
            .check([path.as_path()].into_iter(), true)
            .unwrap_err();
        assert!(matches!(error, OutputError::Input { .. }));
        assert!(claims.check([].into_iter(), true).is_ok());
        let error = claims.check([].into_iter(), false).unwrap_err();
        assert!(matches!(
            error,
            OutputError::Exist {
                count: 1,
                total: 1,
                ..
            }
        ));
    }
}
