//! Failures as codes and numbers, for a node, which must not take over messages, because they may contain names and
//! contents of files.

use vesal_cases::{FindError, ReadError, SeriesError};
use vesal_cli::Exit;
use vesal_io::dicom::{DicomError, StackFinding};
use vesal_node::Reason;

use crate::error::Error;
use crate::memory::{Limit, MemoryError};

/// The code of an error, by its kind or its class.
pub fn reason(error: &Error) -> Reason {
    let found = match error.cause() {
        Error::Find(error) => Some(find(error)),
        Error::Dicom(error) => Some(dicom(error)),
        Error::Read { source, .. } => match &**source {
            ReadError::Dicom(error) => Some(dicom(error)),
            ReadError::Grid(_) => Some(Reason::Grids),
            _ => None,
        },
        Error::Memory(error) => Some(memory(error)),
        Error::FailedCases { failed, total } => Some(Reason::Cases {
            failed: failed.len(),
            total: *total,
        }),
        _ => None,
    };
    found.unwrap_or_else(|| by_exit(error.exit()))
}

fn find(error: &FindError) -> Reason {
    match error {
        FindError::Series(error) => series(error),
        FindError::NoImages { .. } => Reason::NoImages,
        _ => Reason::Input,
    }
}

fn series(error: &SeriesError) -> Reason {
    match error {
        SeriesError::Dicom(error) => dicom(error),
        SeriesError::Unusable { .. } | SeriesError::Unread { .. } => Reason::NoImages,
        SeriesError::None { channels, .. } => Reason::NoSeries {
            channels: channels.len(),
        },
        SeriesError::Missing { found, .. } => Reason::SeriesMissing { found: found.len() },
        SeriesError::Several { found, .. } => Reason::SeveralSeries { found: found.len() },
        SeriesError::Same { .. } => Reason::SameSeries,
        SeriesError::FrameOfReference { .. } => Reason::FrameOfReference,
        SeriesError::Patients { patients, .. } => Reason::Patients {
            patients: *patients,
        },
    }
}

fn dicom(error: &DicomError) -> Reason {
    match error {
        DicomError::Refused { reason, .. } => finding(reason),
        DicomError::Header { .. } => Reason::Header,
        DicomError::Pixels { frame, .. } => Reason::Pixels { frame: *frame },
        DicomError::TooLarge { needed, limit, .. } => Reason::MemoryLimit {
            needed: *needed,
            limit: *limit,
        },
        DicomError::OutOfMemory { .. } => Reason::Memory,
        DicomError::Resample { .. } => Reason::Geometry,
        _ => Reason::Input,
    }
}

fn finding(finding: &StackFinding) -> Reason {
    match *finding {
        StackFinding::Missing {
            missing,
            gaps,
            spacing_mm,
        } => Reason::SlicesMissing {
            missing,
            gaps,
            spacing_mm,
        },
        StackFinding::UnevenSpacing { least_mm, most_mm } => {
            Reason::UnevenSpacing { least_mm, most_mm }
        }
        StackFinding::Tilt { degrees } => Reason::Tilt { degrees },
        StackFinding::LargeGap { gap_mm, spacing_mm } => Reason::LargeGap { gap_mm, spacing_mm },
        StackFinding::SplitSeries { stacks, .. } => Reason::SplitSeries { stacks },
        StackFinding::Unread { files, .. } => Reason::FilesUnusable { files },
        StackFinding::Patients { patients } => Reason::Patients { patients },
        StackFinding::SameInstance { instances } => Reason::SameInstance { instances },
        StackFinding::Conflict { places } => Reason::SamePlace { places },
        _ => Reason::Geometry,
    }
}

fn memory(error: &MemoryError) -> Reason {
    match *error {
        MemoryError::Budget {
            source_of_limit: Limit::Free,
            ..
        } => Reason::Memory,
        MemoryError::Budget { needed, limit, .. } => Reason::MemoryLimit { needed, limit },
        MemoryError::DeviceBudget { needed, limit } => Reason::GpuMemoryLimit { needed, limit },
    }
}

/// The code of an exit code.
pub fn by_exit(exit: Exit) -> Reason {
    match exit {
        Exit::Usage => Reason::Settings,
        Exit::Input | Exit::FailedCases => Reason::Input,
        Exit::Bundle => Reason::Bundle,
        Exit::Device => Reason::Device,
        Exit::Output => Reason::Output,
        Exit::Interrupted => Reason::Interrupted,
        Exit::Bug | Exit::Success => Reason::Bug,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::verify::deviation::{Deviation, Worst};

    const NAME: &str = "DOE^JOHN";

    /// The reason of an error for a node.
    fn told(error: &Error) -> String {
        serde_json::to_string(&reason(error)).unwrap()
    }

    #[test]
    fn what_went_wrong_becomes_a_code_without_a_word_of_it() {
        let found = vec![format!("1.2.840.1 {NAME}"); 2];
        let (study, channel) = (NAME.to_owned(), "t1".to_owned());
        let several = SeriesError::Several {
            study: study.clone(),
            channel,
            found,
            phases: false,
        };
        let refused = DicomError::Refused {
            series: study.clone(),
            reason: StackFinding::Unread {
                files: 3,
                first: PathBuf::from(NAME),
            },
        };
        let unknown = Error::Deviation(Deviation {
            device: NAME.to_owned(),
            worst: Worst {
                difference: 1.0,
                tolerated: 0.1,
                identical: 0.5,
                required: 0.9,
            },
        });
        let several = Error::Find(several.into());
        let cases = Error::FailedCases {
            failed: vec![study],
            total: 4,
        };
        for (error, expected) in [
            (several, r#"{"code":"several_series","found":2}"#),
            (
                Error::Dicom(refused).attempting(NAME),
                r#"{"code":"files_unusable","files":3}"#,
            ),
            (unknown.attempting(NAME), r#"{"code":"device"}"#),
            (cases, r#"{"code":"cases","failed":1,"total":4}"#),
        ] {
            assert_eq!(told(&error), expected);
        }
    }
}
