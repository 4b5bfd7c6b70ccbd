//! A work directory as one file: plans, data stats and runs, for another machine, for bundling or for resuming.
//!
//! The file is a ZIP archive without compression. Its last entry, `history.json`, lists all others with size and
//! SHA-256. Entries that are not listed, not plain or not as listed are refused.

mod export;
mod import;

pub use export::{ExportOptions, Exported, export};
pub use import::import;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use vesal_bundle::manifest::FileEntry;
use vesal_bundle::path::PathError;
use vesal_files::{AtomicError, DocumentError, VersionedDocument};
use zip::result::ZipError;

use crate::fit::FitError;
use crate::work_dir::WorkError;

const LIST: &str = "history.json";
const MAX_FILES: usize = 100_000;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct History {
    /// Every other file of the archive, by path in the work directory.
    files: BTreeMap<String, FileEntry>,
}

impl VersionedDocument for History {
    const FORMAT: &str = "vesal-history";
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = 64 << 20;
}

#[derive(Debug, Error)]
pub enum HistoryError {
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error(transparent)]
    Run(#[from] FitError),
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The destination cannot be used.
    #[error(transparent)]
    Destination(#[from] AtomicError),
    /// A file name is not portable to other systems.
    #[error("a file of the history cannot be carried over")]
    Path(#[from] PathError),
    /// A link, a device or another special file.
    #[error("`{file}` is a link or no plain file, expected a file of its own")]
    NotPlain { file: String },
    /// There is nothing to export.
    #[error("`{}` has no trained run", path.display())]
    NothingTrained { path: PathBuf },
    /// The archive cannot be written.
    #[error("cannot put `{file}` into the archive")]
    Pack { file: String, source: ZipError },
    /// The file is no archive, or a damaged one.
    #[error("the file is no intact ZIP archive")]
    Archive(#[from] ZipError),
    /// The list does not follow its format.
    #[error("the archive is no history that this program reads")]
    List(#[from] DocumentError),
    /// The archive has more files or bytes than a work directory can have.
    #[error("the archive has {found} {of}, at most {most} are allowed")]
    TooMany {
        of: &'static str,
        found: u64,
        most: u64,
    },
    /// An entry is not listed.
    #[error("the archive has `{file}`, which its list does not name")]
    Unlisted { file: String },
    /// A listed file is absent.
    #[error("the archive lacks `{file}`")]
    Missing { file: String },
    /// Two names denote the same file on systems that ignore case.
    #[error("the archive has `{first}` and `{second}`, which some systems take for one file")]
    SameIgnoringCase { first: String, second: String },
    /// An entry is compressed or encrypted.
    #[error("`{file}` is compressed or encrypted in the archive, expected plain bytes")]
    Stored { file: String },
    #[error("`{file}` has {found} bytes in the archive, its list says {expected}")]
    Size {
        file: String,
        /// Size of the entry in bytes.
        found: u64,
        /// Size in the list in bytes.
        expected: u64,
    },
    /// The digest differs from that of the list.
    #[error("`{file}` has SHA-256 {found} in the archive, its list says {expected}")]
    Digest {
        file: String,
        found: String,
        expected: String,
    },
}

impl HistoryError {
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Work(error) => return error.hint(),
            Self::Run(error) => return error.hint(),
            Self::Destination(AtomicError::Exists { .. }) => Some("choose another place for it"),
            Self::Destination(error) => error.hint(),
            Self::Path(_) => Some("name it with letters, digits, `.`, `_` and `-`"),
            Self::NothingTrained { .. } => {
                Some("without `--only-trained`, plans and data stats are exported as well")
            }
            Self::NotPlain { .. } => Some("move it elsewhere, or put the file itself in its place"),
            Self::List(DocumentError::Version { .. }) => {
                Some("another version of Vesal wrote it: export it again with this one")
            }
            Self::Archive(_)
            | Self::List(_)
            | Self::TooMany { .. }
            | Self::Unlisted { .. }
            | Self::Missing { .. }
            | Self::SameIgnoringCase { .. }
            | Self::Stored { .. }
            | Self::Size { .. }
            | Self::Digest { .. } => Some(
                "the file is damaged or no export of `vesal-train export-history`: get it again from where it came",
            ),
            Self::Read { .. } | Self::Write { .. } | Self::Pack { .. } => None,
        };
        text.map(str::to_owned)
    }
}
