//! Why a prediction failed: codes and numbers, never texts of images, files or peers.
//!
//! `vesal predict --failure FILE` writes a reason as JSON; a node reads it, records it and puts it into words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest file with a reason, in bytes; real ones are far shorter.
pub const REASON_BYTES_MAX: u64 = 4096;

/// Why a job or an attempt failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Reason {
    /// No file is a usable image.
    NoImages,
    /// No series fits a channel of the bundle.
    NoSeries {
        /// Channels of the bundle.
        channels: usize,
    },
    /// A channel has no series.
    SeriesMissing {
        found: usize,
    },
    /// A channel has several series.
    SeveralSeries {
        found: usize,
    },
    /// Two channels have one series.
    SameSeries,
    /// The channels have different frames of reference.
    FrameOfReference,
    /// The files are of different patients.
    Patients {
        patients: usize,
    },
    SlicesMissing {
        missing: usize,
        gaps: usize,
        /// Distance between the others.
        spacing_mm: f64,
    },
    UnevenSpacing {
        least_mm: f64,
        most_mm: f64,
    },
    /// Slices are stacked along a tilted line.
    Tilt {
        /// Angle against their normal.
        degrees: f64,
    },
    /// A gap is too large.
    LargeGap {
        gap_mm: f64,
        /// Distance between the others.
        spacing_mm: f64,
    },
    /// The slices of a series form several stacks, which differ in shape, spacing or orientation.
    #[serde(rename = "torn")]
    SplitSeries {
        stacks: usize,
    },
    FilesUnusable {
        files: usize,
    },
    /// Different files have the same SOP Instance UID.
    SameInstance {
        instances: usize,
    },
    /// Different slices lie at one position.
    SamePlace {
        places: usize,
    },
    /// The slices are refused for another reason.
    Geometry,
    /// The channels are not on one grid.
    Grids,
    /// A header cannot be read.
    Header,
    /// Pixels cannot be decoded.
    Pixels {
        /// The frame of its file, from 1.
        frame: usize,
    },
    /// Some of the cases failed.
    Cases {
        failed: usize,
        total: usize,
    },
    /// The images are unsuitable for another reason.
    Input,
    /// It needs more memory than its limit.
    MemoryLimit {
        /// Bytes that it needs.
        needed: u64,
        /// Limit in bytes.
        limit: u64,
    },
    /// It needs more memory of the GPU than its limit.
    GpuMemoryLimit {
        /// Bytes that it needs.
        needed: u64,
        /// Limit in bytes.
        limit: u64,
    },
    /// The machine has not enough memory at the moment.
    Memory,
    /// The settings are invalid.
    Settings,
    /// The bundle cannot be used.
    Bundle,
    /// The bundle has changed since the node started.
    BundleChanged,
    /// The networks cannot be run.
    Device,
    /// Results cannot be written.
    Output,
    /// An error of the program itself.
    Bug,
    /// It was interrupted from outside.
    Interrupted,
    /// It ended with another exit code.
    Exit {
        exit: i32,
    },
    /// A signal ended it.
    Signal {
        signal: i32,
        /// Limit of its memory in bytes, where there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u64>,
    },
    /// It exceeded its time limit.
    TimedOut {
        seconds: u64,
    },
    /// It could not be started or waited for.
    NotStarted,
    /// It succeeded without results that can be sent.
    NoResults,
    ResultsGone {
        results: usize,
    },
    ImagesGone {
        images: usize,
    },
    /// Its results were undelivered for too long.
    NotDelivered,
    /// The node ended repeatedly while it ran.
    EndedWithNode {
        times: u32,
    },
    /// Instances came later, and earlier ones are no longer kept.
    Lacking {
        instances: usize,
    },
    /// Instances may be missing, and the service fails such jobs.
    Doubtful {
        instances: usize,
    },
}

impl Reason {
    /// Whether the job may succeed after the node is started again, with another bundle or other settings.
    pub fn passes_with_a_start(&self) -> bool {
        match self {
            Self::Memory
            | Self::Settings
            | Self::Bundle
            | Self::BundleChanged
            | Self::Device
            | Self::Output
            | Self::Bug
            | Self::Interrupted
            | Self::Exit { .. }
            | Self::Signal { .. }
            | Self::NotStarted => true,
            Self::NoImages
            | Self::NoSeries { .. }
            | Self::SeriesMissing { .. }
            | Self::SeveralSeries { .. }
            | Self::SameSeries
            | Self::FrameOfReference
            | Self::Patients { .. }
            | Self::SlicesMissing { .. }
            | Self::UnevenSpacing { .. }
            | Self::Tilt { .. }
            | Self::LargeGap { .. }
            | Self::SplitSeries { .. }
            | Self::FilesUnusable { .. }
            | Self::SameInstance { .. }
            | Self::SamePlace { .. }
            | Self::Geometry
            | Self::Grids
            | Self::Header
            | Self::Pixels { .. }
            | Self::Cases { .. }
            | Self::Input
            | Self::MemoryLimit { .. }
            | Self::GpuMemoryLimit { .. }
            | Self::TimedOut { .. }
            | Self::NoResults
            | Self::ResultsGone { .. }
            | Self::ImagesGone { .. }
            | Self::NotDelivered
            | Self::EndedWithNode { .. }
            | Self::Lacking { .. }
            | Self::Doubtful { .. } => false,
        }
    }
}

const ABORT: i32 = 6;
const KILL: i32 = 9;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoImages => f.write_str("no file holds a slice that can be used"),
            Self::NoSeries { channels: 1 } => {
                f.write_str("no series is taken by the bundle's channel")
            }
            Self::NoSeries { channels } => {
                write!(f, "no series is taken by the bundle's {channels} channels")
            }
            Self::SeriesMissing { found } => {
                write!(
                    f,
                    "a channel of the bundle takes none of the {found} series"
                )
            }
            Self::SeveralSeries { found } => {
                write!(
                    f,
                    "a channel of the bundle takes {found} series, expected one"
                )
            }
            Self::SameSeries => f.write_str("two channels of the bundle take one series"),
            Self::FrameOfReference => {
                f.write_str("the series of the channels have different frames of reference")
            }
            Self::Patients { patients } => write!(f, "its files name {patients} patients"),
            Self::SlicesMissing {
                missing,
                gaps,
                spacing_mm,
            } => write!(
                f,
                "slices missing: {missing}, in gaps: {gaps}; the others lie {spacing_mm:.3} mm apart"
            ),
            Self::UnevenSpacing { least_mm, most_mm } => write!(
                f,
                "its slices lie between {least_mm:.3} and {most_mm:.3} mm apart"
            ),
            Self::Tilt { degrees } => write!(
                f,
                "its slices are stacked along a line that is tilted by {degrees:.2} degrees"
            ),
            Self::LargeGap { gap_mm, spacing_mm } => write!(
                f,
                "a gap of {gap_mm:.3} mm lies between slices that are {spacing_mm:.3} mm apart elsewhere"
            ),
            Self::SplitSeries { stacks } => write!(
                f,
                "its slices form {stacks} stacks, which differ in attributes that a series shares"
            ),
            Self::FilesUnusable { files } => {
                write!(
                    f,
                    "files that belong or may belong to it cannot be used: {files}"
                )
            }
            Self::SameInstance { instances } => write!(
                f,
                "SOP Instance UIDs that several of its files share: {instances}"
            ),
            Self::SamePlace { places } => write!(
                f,
                "positions with several slices that differ: {places}; no attribute distinguishes them"
            ),
            Self::Geometry => f.write_str("its slices do not form a volume"),
            Self::Grids => f.write_str("its channels do not lie on one grid"),
            Self::Header => f.write_str("the header of a file cannot be read"),
            Self::Pixels { frame } => {
                write!(f, "the pixels of frame {frame} of a file cannot be read")
            }
            Self::Cases { failed, total } => {
                write!(f, "{failed} of its {total} cases cannot be segmented")
            }
            Self::Input => f.write_str("its images cannot be segmented"),
            Self::MemoryLimit { needed, limit } => write!(
                f,
                "it takes {} MiB of memory, the limit is {} MiB (`run_ram_mib`)",
                mebibytes(*needed),
                mebibytes(*limit)
            ),
            Self::GpuMemoryLimit { needed, limit } => write!(
                f,
                "it takes {} MiB of the GPU's memory, the limit is {} MiB",
                mebibytes(*needed),
                mebibytes(*limit)
            ),
            Self::Memory => f.write_str("the machine has not enough memory free"),
            Self::Settings => f.write_str("the options of its service are wrong"),
            Self::Bundle => f.write_str("the bundle of its service cannot be used"),
            Self::BundleChanged => f.write_str(
                "the bundle of its service has changed since the node started: restart the node",
            ),
            Self::Device => {
                f.write_str("the networks cannot be run: `vesal serve --check` gives details")
            }
            Self::Output => f.write_str("its results cannot be written"),
            Self::Bug => f.write_str("it ended by an internal error of vesal"),
            Self::Interrupted => f.write_str("it was interrupted"),
            Self::Exit { exit } => write!(f, "it ended with exit code {exit}"),
            Self::Signal { signal, limit } => {
                write!(f, "it was ended by signal {signal}")?;
                match (*signal, limit) {
                    (ABORT, Some(limit)) => write!(
                        f,
                        ", which follows from exceeding the memory limit: {} MiB for data (see `run_ram_mib`)",
                        mebibytes(*limit)
                    ),
                    (KILL, _) => f.write_str(", which the system sends when memory runs out"),
                    _ => Ok(()),
                }
            }
            Self::TimedOut { seconds } => {
                write!(f, "it took longer than {seconds} s (`run_minutes`)")
            }
            Self::NotStarted => f.write_str("its prediction could not be started"),
            Self::NoResults => f.write_str("its prediction made no DICOM file to send"),
            Self::ResultsGone { results } => write!(
                f,
                "{results} of its results were removed from the storage folder: send all again"
            ),
            Self::ImagesGone { images } => write!(
                f,
                "{images} of its images were removed from the storage folder: send all again"
            ),
            Self::NotDelivered => {
                f.write_str("its results were not delivered for as long as they are kept")
            }
            Self::EndedWithNode { times } => {
                write!(f, "the node ended {times} times during its prediction")
            }
            Self::Lacking { instances } => write!(
                f,
                "instances came later, and {instances} of the earlier ones are no longer kept: send all again"
            ),
            Self::Doubtful { instances } => write!(
                f,
                "instances may be missing besides the {instances} received: send all again"
            ),
        }
    }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Why a destination has not accepted all results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Undelivered {
    /// There is no connection.
    Connection,
    Association,
    /// It does not accept objects of this class.
    Class,
    /// It answered with a status that is neither success nor warning.
    Status {
        status: u16,
    },
    /// It has another object with the UID of a result, which this node did not send.
    Duplicate,
    /// A result cannot be read.
    File,
    /// The state of sending cannot be recorded.
    Note,
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => f.write_str("no connection"),
            Self::Association => f.write_str("the association failed"),
            Self::Class => f.write_str("it does not accept objects of this class"),
            Self::Status { status } => write!(f, "it answered with status {status:04X}"),
            Self::Duplicate => f.write_str(
                "it has another object under the UID of a result (status 0111), and keeps it: remove it there",
            ),
            Self::File => f.write_str("a result cannot be read"),
            Self::Note => f.write_str("the state of sending cannot be recorded"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_codes_and_numbers() {
        let reason = Reason::SlicesMissing {
            missing: 2,
            gaps: 1,
            spacing_mm: 2.5,
        };
        let text = serde_json::to_string(&reason).unwrap();
        assert_eq!(
            text,
            r#"{"code":"slices_missing","missing":2,"gaps":1,"spacing_mm":2.5}"#
        );
        assert_eq!(serde_json::from_str::<Reason>(&text).unwrap(), reason);
        for foreign in [
            r#"{"code":"DOE^JOHN"}"#,
            r#"{"code":"pixels","frame":"DOE^JOHN"}"#,
            r#""DOE^JOHN""#,
        ] {
            assert!(serde_json::from_str::<Reason>(foreign).is_err());
        }
        // Other fields of the document are ignored.
        let more = r#"{"code":"input","name":"DOE^JOHN"}"#;
        let taken: Reason = serde_json::from_str(more).unwrap();
        assert_eq!(
            serde_json::to_string(&taken).unwrap(),
            r#"{"code":"input"}"#
        );
    }

    #[test]
    fn a_limit_of_memory_is_told() {
        let limit = Some(5 << 20);
        let text = Reason::Signal { signal: 6, limit }.to_string();
        assert!(
            text.contains("exceeding the memory limit") && text.contains("5 MiB"),
            "{text}"
        );
    }
}
