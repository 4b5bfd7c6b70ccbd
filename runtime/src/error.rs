//! Errors of commands.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

use vesal_bundle::BundleError;
use vesal_bundle::deploy_plan::PlanError;
use vesal_bundle::dicom_rules::RulesError;
use vesal_bundle::signature::SignatureError;
use vesal_cases::datalist::listed::ListError;
use vesal_cases::{FindError, ReadError};
use vesal_cli::{Exit, Failure};
use vesal_engine::install::InstallError;
use vesal_engine::library::LibraryError;
use vesal_engine::verify::VerifyError;
use vesal_engine::{EngineError, PredictorError};
use vesal_files::atomic::AtomicError;
use vesal_io::dicom::DicomError;
use vesal_io::dicom::write::DicomWriteError;
use vesal_io::image::{HeaderProblem, ImageError, format_names};
use vesal_io::nifti::NiftiError;
use vesal_io::sniff::{self, Content};
use vesal_volume::geometry::GeometryError;
use vesal_volume::preprocess::PreprocessError;

use crate::convert::error::ConvertError;
use crate::evaluate::pairs::PairError;
use crate::memory::error::MemoryError;
use crate::outputs::OutputError;
use crate::predict::formats::FormatError;
use crate::predict::key::KeyError;
use crate::profile::ProfileError;
use crate::serve::error::ServeError;
use crate::tune::error::TuneError;
use crate::verify::deviation::Deviation;

/// Errors of commands.
///
/// [`Self::hint`] is a remedy, and [`Self::exit`] the class of the error, which is the exit code of the program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An attempt, and why it failed; never nested.
    #[error("{attempt}")]
    Attempt { attempt: String, source: Box<Error> },
    #[error(transparent)]
    Image(ImageError),
    #[error(transparent)]
    Dicom(#[from] DicomError),
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    Datalist(#[from] ListError),
    /// The images of a case cannot be read; `file` is one of them.
    #[error("{source}")]
    Read {
        source: Box<ReadError>,
        file: Option<PathBuf>,
    },
    #[error("folder `{}` is not a bundle and contains no DICOM files", path.display())]
    NothingThere { path: PathBuf },
    #[error(transparent)]
    Orientation(#[from] GeometryError),
    #[error(transparent)]
    Evaluate(#[from] PairError),
    #[error(transparent)]
    Convert(#[from] ConvertError),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(
        "no member of the bundle held out fold {found}, {}",
        if expected.is_empty() {
            "as imported networks have no folds".to_owned()
        } else {
            format!("expected one of {expected:?}")
        }
    )]
    NoSuchFold {
        found: usize,
        /// Folds that members held out.
        expected: Vec<usize>,
    },
    #[error("the bundle has no channel `{found}`, expected one of {}", expected.join(", "))]
    NoSuchChannel {
        found: String,
        expected: Vec<String>,
    },
    #[error(transparent)]
    UidKey(#[from] KeyError),
    #[error(transparent)]
    BundleKey(SignatureError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The probe of a bundle cannot be replayed.
    #[error(transparent)]
    Verify(VerifyError),
    #[error(transparent)]
    Deviation(#[from] Deviation),
    #[error(transparent)]
    Tune(#[from] TuneError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error(transparent)]
    Threads(#[from] rayon::ThreadPoolBuildError),
    #[error(transparent)]
    Memory(#[from] MemoryError),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    WriteNifti(NiftiError),
    #[error(transparent)]
    WriteDicom(#[from] DicomWriteError),
    #[error(transparent)]
    Write(#[from] AtomicError),
    /// An input that was readable before.
    #[error(transparent)]
    InputFile(io::Error),
    /// An output, or the folder for it.
    #[error(transparent)]
    OutputFile(io::Error),
    /// A result that JSON cannot hold.
    #[error(transparent)]
    Json(serde_json::Error),
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A batch ran to its end, and some cases failed.
    #[error("{} of {total} cases failed: {}", failed.len(), failed.join(", "))]
    FailedCases { failed: Vec<String>, total: usize },
    #[error("stopped by the user after {done} of {total} cases; their files are complete")]
    Interrupted { done: usize, total: usize },
}

impl Error {
    /// Sets the attempt, as in `cannot segment …`, replacing an earlier one.
    pub fn attempting(self, attempt: impl Into<String>) -> Self {
        let source = match self {
            Self::Attempt { source, .. } => source,
            cause => Box::new(cause),
        };
        Self::Attempt {
            attempt: attempt.into(),
            source,
        }
    }

    /// A bundle that cannot be opened.
    pub(crate) fn bundle(path: &Path, error: BundleError) -> Self {
        Self::Bundle(error).attempting(format!("cannot open the bundle `{}`", path.display()))
    }

    /// Rules of DICOM that cannot be used.
    pub(crate) fn rules(path: &Path, error: RulesError) -> Self {
        Self::Rules(error).attempting(format!("cannot use the rules `{}`", path.display()))
    }

    /// A case that cannot be read; `file` is one of its files.
    pub(crate) fn read(source: ReadError, file: Option<&Path>) -> Self {
        Self::Read {
            source: Box::new(source),
            file: file.map(Path::to_owned),
        }
    }

    /// A probe that cannot be replayed.
    pub(crate) fn replay(error: VerifyError) -> Self {
        match error {
            VerifyError::Engine(error) => Self::Engine(error),
            error => Self::Verify(error),
        }
    }

    /// The error without the attempt.
    pub fn cause(&self) -> &Self {
        match self {
            Self::Attempt { source, .. } => source,
            cause => cause,
        }
    }

    /// A remedy for the user.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Attempt { source, .. } => return source.hint(),
            Self::Image(error) => return image_hint(error),
            Self::Dicom(error) => return dicom_hint(error),
            Self::Find(error) => return error.hint(),
            Self::Read { source, file } => return read_hint(source, file.as_deref()),
            Self::Evaluate(error) => return error.hint(),
            Self::Memory(error) => return Some(error.hint()),
            Self::Serve(error) => return error.hint(),
            Self::Datalist(error) => error.hint(),
            Self::NothingThere { .. } => {
                return Some(format!(
                    "{} files are named one by one, as in `scans/*.nii.gz`",
                    format_names()
                ));
            }
            Self::Convert(error) => error.hint(),
            Self::Rules(error) => error.hint(),
            Self::UidKey(error) => error.hint(),
            Self::BundleKey(error) => error.hint(),
            Self::Bundle(error) => error.hint(),
            Self::Library(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Verify(error) => error.hint(),
            Self::Deviation(_) => Some(
                "do not use this bundle on this device; see whether another passes, such as `--device cpu`",
            ),
            Self::Tune(error) => Some(error.hint()),
            Self::Install(error) => return error.hint().map(Cow::into_owned),
            Self::Format(error) => Some(error.hint()),
            Self::Output(error) => error.hint(),
            Self::WriteNifti(error) => error.hint(),
            Self::WriteDicom(error) => error.hint(),
            Self::Write(error) => error.hint(),
            Self::Orientation(_)
            | Self::NoSuchChannel { .. }
            | Self::NoSuchFold { .. }
            | Self::Plan(_)
            | Self::Profile(_)
            | Self::Threads(_)
            | Self::InputFile(_)
            | Self::OutputFile(_)
            | Self::Json(_)
            | Self::FailedCases { .. }
            | Self::Interrupted { .. } => None,
        };
        hint.map(str::to_owned)
    }

    /// The class of the error, which is the exit code of the program.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Attempt { source, .. } => source.exit(),
            Self::NoSuchChannel { .. }
            | Self::NoSuchFold { .. }
            | Self::UidKey(_)
            | Self::BundleKey(_) => Exit::Usage,
            Self::Image(_)
            | Self::Dicom(_)
            | Self::Find(_)
            | Self::Datalist(_)
            | Self::Read { .. }
            | Self::NothingThere { .. }
            | Self::Orientation(_)
            | Self::Evaluate(_)
            | Self::Rules(_)
            | Self::InputFile(_) => Exit::Input,
            Self::Bundle(_) | Self::Verify(_) => Exit::Bundle,
            Self::Library(_) | Self::Deviation(_) | Self::Threads(_) => Exit::Device,
            Self::Install(InstallError::Write { .. }) => Exit::Output,
            Self::Install(InstallError::Unknown { .. } | InstallError::Read { .. }) => Exit::Input,
            Self::Install(_) => Exit::Device,
            Self::Profile(_)
            | Self::Output(_)
            | Self::WriteNifti(_)
            | Self::WriteDicom(_)
            | Self::Write(_)
            | Self::OutputFile(_) => Exit::Output,
            Self::Plan(_) | Self::Json(_) => Exit::Bug,
            Self::FailedCases { .. } => Exit::FailedCases,
            Self::Interrupted { .. } => Exit::Interrupted,
            Self::Convert(error) => error.exit(),
            Self::Engine(error) => engine_exit(error),
            Self::Tune(error) => error.exit(),
            Self::Memory(error) => error.exit(),
            Self::Format(error) => error.exit(),
            Self::Serve(error) => error.exit(),
        }
    }

    /// The whole message, escaped for a terminal: the attempt, the causes and the hint, one line each.
    pub fn message(&self) -> String {
        vesal_cli::message(None, self, self.hint().as_deref())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let hint = error.hint();
        Failure::new(error.exit(), error).hint(hint)
    }
}

fn image_hint(error: &ImageError) -> Option<String> {
    let is_dicom =
        |path: &Path| sniff::sniff(path).is_ok_and(|found| found.content == Content::Dicom);
    match error.header_problem() {
        Some(HeaderProblem::OtherFormat) if is_dicom(error.path()) => {
            Some("it is a DICOM file: name its folder as an input of its own".to_owned())
        }
        Some(HeaderProblem::ContradictoryAffines) => error.hint().map(|hint| {
            format!("{hint}, or say which is right: `--nifti-form sform` or `--nifti-form qform`")
        }),
        _ => error.hint().map(str::to_owned),
    }
}

fn dicom_hint(error: &DicomError) -> Option<String> {
    match error {
        DicomError::Refused { reason, .. } if reason.needs_resampling() => Some(format!(
            "{}: `--geometry resample`",
            reason.hint().unwrap_or("resample it")
        )),
        _ => error.hint().map(str::to_owned),
    }
}

fn read_hint(error: &ReadError, file: Option<&Path>) -> Option<String> {
    match error {
        ReadError::Image(error) => image_hint(error),
        ReadError::Dicom(error) => dicom_hint(error),
        ReadError::Grid(_) => file.map(|file| {
            format!(
                "`vesal inspect {}` prints the geometries",
                file.with_file_name("*.nii.gz").display()
            )
        }),
        ReadError::Changed => None,
    }
}

/// The error of networks that cannot be run, or not on this case.
fn engine_exit(error: &EngineError) -> Exit {
    match error {
        EngineError::Bundle(_) | EngineError::NoMembers => Exit::Bundle,
        EngineError::Member { source, .. } => match source {
            PredictorError::Device(_)
            | PredictorError::Plugin(_)
            | PredictorError::Run { .. }
            | PredictorError::NotFinite { .. } => Exit::Device,
            _ => Exit::Bundle,
        },
        EngineError::Preprocess(PreprocessError::Labeling(_)) => Exit::Device,
        EngineError::Channels { .. } | EngineError::Preprocess(_) => Exit::Input,
        EngineError::Stopped => Exit::Interrupted,
        EngineError::Probabilities(_) => Exit::Output,
        EngineError::Library(_)
        | EngineError::Window(_)
        | EngineError::Shape(_)
        | EngineError::Predict { .. }
        | EngineError::Mean(_)
        | EngineError::Groups { .. }
        | EngineError::Block(_)
        | EngineError::Labeling(_) => Exit::Device,
    }
}

/// An error and its causes in one line.
pub(crate) fn one_line(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let mut lines: Vec<String> = causes
        .map(|cause| cause.to_string().replace('\n', " "))
        .collect();
    lines.dedup();
    lines.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_without_folds_says_why() {
        let error = |expected| Error::NoSuchFold { found: 1, expected };
        assert_eq!(
            error(vec![]).to_string(),
            "no member of the bundle held out fold 1, as imported networks have no folds"
        );
        assert_eq!(
            error(vec![0, 2]).to_string(),
            "no member of the bundle held out fold 1, expected one of [0, 2]"
        );
    }
}
