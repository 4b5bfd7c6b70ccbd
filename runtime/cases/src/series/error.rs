//! Why DICOM files are not a case.

use std::collections::BTreeSet;

use vesal_io::dicom::{DicomError, UnreadSeries};

use crate::names::list;

/// Number of series that a message lists; it counts the others.
const LISTED: usize = 6;

/// Why DICOM files are not a case. Series are named by UID and modality, never by descriptions.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// The files cannot be scanned.
    #[error(transparent)]
    Dicom(#[from] DicomError),
    /// No file is a slice that can be used.
    #[error("no DICOM file holds a slice that can be used: {}", some(reasons))]
    Unusable { reasons: Vec<String> },
    /// A series of which no file can be used.
    #[error(
        "no file of series {} can be used; there are {}, the first of them is `{}`",
        unread.stated.series,
        unread.files.len(),
        unread.files[0].display()
    )]
    Unread { unread: UnreadSeries },
    /// No series fits a channel of the bundle.
    #[error(
        "no series is taken by {} (modality {}); there are {}",
        list(channels),
        modalities.iter().copied().collect::<Vec<_>>().join(", "),
        some(found)
    )]
    None {
        /// Names of the channels.
        channels: Vec<String>,
        /// Their modalities, each once.
        modalities: BTreeSet<&'static str>,
        /// The series that were found.
        found: Vec<String>,
    },
    /// A study without a series for one of the channels.
    #[error(
        "no series of study {study} is taken by channel `{channel}`; there are {}",
        some(found)
    )]
    Missing {
        /// UID of the study.
        study: String,
        channel: String,
        /// The series that were found.
        found: Vec<String>,
    },
    /// Several series for one channel.
    #[error("channel `{channel}` takes {} series of study {study}: {}", found.len(), some(found))]
    Several {
        /// UID of the study.
        study: String,
        channel: String,
        /// The series that it takes.
        found: Vec<String>,
        /// Whether they are parts of one series.
        phases: bool,
    },
    /// One series for two channels.
    #[error("channels `{first}` and `{second}` both take series {series}")]
    Same {
        first: String,
        second: String,
        /// UID of the series.
        series: String,
    },
    /// Series of different patients under the UID of one study.
    #[error(
        "series that are channels of study {study} name different patients: {patients}; expected one"
    )]
    Patients {
        /// UID of the study.
        study: String,
        /// How many, at least.
        patients: usize,
    },
    /// Series in different frames of reference.
    #[error(
        "series of channels `{first}` and `{second}` have different frames of reference, expected one for all channels of study {study}"
    )]
    FrameOfReference {
        /// UID of the study.
        study: String,
        first: String,
        second: String,
    },
}

impl SeriesError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<String> {
        let choose = |channel: &str| {
            format!(
                "`vesal inspect` lists the series; choose one with `--series {channel}=UID`, or by number or description"
            )
        };
        match self {
            Self::Dicom(error) => error.hint().map(str::to_owned),
            Self::Unusable { .. } | Self::Unread { .. } => {
                Some("`vesal inspect` lists every file with its reason".to_owned())
            }
            Self::None { channels, .. } => Some(choose(channels.first()?)),
            Self::Several { phases: true, .. } => {
                Some("give only the files of one phase or acquisition".to_owned())
            }
            Self::Missing { channel, .. } | Self::Several { channel, .. } => Some(choose(channel)),
            Self::Same { second, .. } => Some(choose(second)),
            Self::Patients { .. } => Some(
                "give only the files of one patient; if the patient's name or ID was corrected, export all series of the study again".to_owned(),
            ),
            Self::FrameOfReference { .. } => Some(
                "if they are known to be aligned nevertheless, pass `--any-frame-of-reference`: results will state it".to_owned(),
            ),
        }
    }
}

/// The first few of a list.
pub(super) fn some(found: &[String]) -> String {
    let listed = found.iter().take(LISTED).cloned().collect::<Vec<_>>();
    let more = match found.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", listed.join(", "))
}
