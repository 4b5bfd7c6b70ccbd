//! What the libraries report, as failures of this program: with an exit code and a hint.

use std::error::Error;
use std::path::Path;

use vesal_bundle::BundleError;
use vesal_bundle::dicom_rules::RulesError;
use vesal_cli::{Exit, Failure};
use vesal_engine::library::LibraryError;
use vesal_engine::{EngineError, PredictorError};
use vesal_io::dicom::DicomError;
use vesal_io::dicom::write::DicomWriteError;
use vesal_io::nifti::{HeaderError, NiftiError};
use vesal_io::sniff::{self, Content};
use vesal_volume::preprocess::PreprocessError;

use crate::case::{FindError, ReadError};
use crate::datalist::DatalistError;

/// An input that cannot be read.
pub fn input(error: NiftiError) -> Failure {
    let hint = match &error {
        NiftiError::Header {
            path,
            reason: HeaderError::NotNifti,
        } if sniff::sniff(path).is_ok_and(|found| found.content == Content::Dicom) => {
            Some("it is a DICOM file: name its folder as an input of its own".to_owned())
        }
        NiftiError::Header {
            reason: HeaderError::Forms { .. },
            ..
        } => error.hint().map(|hint| {
            format!("{hint}, or say which is right: `--nifti-form sform` or `--nifti-form qform`")
        }),
        _ => error.hint().map(str::to_owned),
    };
    Failure::new(Exit::Input, error).hint(hint)
}

/// DICOM files that cannot be read.
pub fn dicom(error: DicomError) -> Failure {
    let hint = match &error {
        DicomError::Refused { reason, .. } if reason.needs_resampling() => Some(format!(
            "{}: `--geometry resample`",
            reason.hint().unwrap_or("resample it")
        )),
        _ => error.hint().map(str::to_owned),
    };
    Failure::new(Exit::Input, error).hint(hint)
}

/// A case of which no files are found.
pub fn find(error: FindError) -> Failure {
    let hint = error.hint();
    Failure::new(Exit::Input, error).hint(hint)
}

/// A datalist that cannot be used.
pub fn datalist(error: DatalistError) -> Failure {
    let hint = error.hint().map(str::to_owned);
    Failure::new(Exit::Input, error).hint(hint)
}

/// A case that cannot be read; `file` is one of its files.
pub fn read(error: ReadError, file: Option<&Path>) -> Failure {
    match error {
        ReadError::Nifti(error) => input(error),
        ReadError::Dicom(error) => dicom(error),
        ReadError::Grid(error) => {
            let hint = file.map(|file| {
                format!(
                    "`vesal inspect {}` prints the geometries",
                    file.with_file_name("*.nii.gz").display()
                )
            });
            Failure::new(Exit::Input, error).hint(hint)
        }
        error @ ReadError::Changed => Failure::new(Exit::Input, error),
    }
}

/// An output that cannot be written.
pub fn output(error: NiftiError) -> Failure {
    let hint = error.hint().map(str::to_owned);
    Failure::new(Exit::Output, error).hint(hint)
}

/// An output that cannot be written as DICOM.
pub fn dicom_output(error: DicomWriteError) -> Failure {
    let hint = error.hint().map(str::to_owned);
    Failure::new(Exit::Output, error).hint(hint)
}

/// Rules of DICOM that cannot be used; `path` is their file.
pub fn rules(path: &Path, error: RulesError) -> Failure {
    let hint = error.hint().map(str::to_owned);
    Failure::new(Exit::Input, error)
        .attempting(format!("cannot use the rules `{}`", path.display()))
        .hint(hint)
}

/// A bundle that cannot be opened.
pub fn bundle(path: &Path, error: BundleError) -> Failure {
    let hint = error.hint().map(str::to_owned);
    Failure::new(Exit::Bundle, error)
        .attempting(format!("cannot open the bundle `{}`", path.display()))
        .hint(hint)
}

/// An ONNX Runtime that is not at hand.
pub fn library(error: LibraryError) -> Failure {
    let hint = error.hint().map(str::to_owned);
    Failure::new(Exit::Device, error).hint(hint)
}

/// Networks that cannot be run, or a case that they cannot be run on.
pub fn engine(error: EngineError) -> Failure {
    let exit = match &error {
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
    };
    let hint = error.hint().map(str::to_owned);
    Failure::new(exit, error).hint(hint)
}

/// An error and its causes in one line.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let mut lines: Vec<String> = causes
        .map(|cause| cause.to_string().replace('\n', " "))
        .collect();
    lines.dedup();
    lines.join(": ")
}
