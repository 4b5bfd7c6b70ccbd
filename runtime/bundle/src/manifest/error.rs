//! Why a manifest cannot be used.

use thiserror::Error;
use vesal_files::document::DocumentError;

use super::limits::{MAX_ENTRY_BYTES, MAX_VERSION_CHARACTERS};
use crate::name::NameError;
use crate::path::PathError;
use crate::run_record::RunRecordError;

/// Why a manifest cannot be used.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not readable as a manifest of this version.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A name breaks the rules for names.
    #[error("the manifest has an unusable {of}")]
    Name {
        /// Whose name: task, input or output.
        of: &'static str,
        source: NameError,
    },
    /// A version breaks the rules for versions.
    #[error(
        "the version {found:?} is not 1 to {MAX_VERSION_CHARACTERS} ASCII letters, digits, `.`, `+`, `-` and `_`"
    )]
    Version { found: String },
    /// A path breaks the rules for paths.
    #[error("the manifest names a file outside the rules")]
    Path(#[from] PathError),
    /// Two paths are the same file on systems that ignore case.
    #[error("the manifest lists `{first}` and `{second}`, which some systems take for one file")]
    SameIgnoringCase { first: String, second: String },
    /// The manifest cannot list itself, nor the signature that signs it.
    #[error("the manifest lists `{file}`, expected every file but itself and its signature")]
    ListsItself { file: &'static str },
    /// A file has a role but no size and digest.
    #[error("the manifest names `{file}` as {role} and does not list it among its files")]
    NotListed { file: String, role: &'static str },
    /// One file has two roles.
    #[error("the manifest names `{file}` twice, last as {role}")]
    TwoRoles { file: String, role: &'static str },
    /// A listed file has no role.
    #[error(
        "the manifest lists `{file}`, which is neither the deploy plan, the probe nor a member"
    )]
    NoRole { file: String },
    /// Too few or too many of something.
    #[error("the manifest has {found} {of}, expected {least} to {most}")]
    Count {
        of: &'static str,
        /// How many there are.
        found: usize,
        least: usize,
        most: usize,
    },
    /// A file that no bundle can hold.
    #[error("the manifest gives `{file}` {found} bytes, at most {MAX_ENTRY_BYTES} are allowed")]
    FileSize {
        file: String,
        /// Its size in bytes.
        found: u64,
    },
    /// A text that is not a digest.
    #[error("the SHA-256 of {of} is {found:?}, expected 64 lowercase hexadecimal digits")]
    DigestForm {
        /// The object of the digest.
        of: String,
        found: String,
    },
    /// A weight that is not positive and finite.
    #[error("member `{file}` has weight {found}, expected a positive number")]
    Weight {
        /// File of the member.
        file: String,
        found: f64,
    },
    /// The reason of the choice breaks the rules for names.
    #[error("the manifest has an unusable reason for the choice of its members")]
    Reason { source: NameError },
    /// The ensemble's score is out of range.
    #[error("the ensemble has a score out of range")]
    EnsembleScore { source: RunRecordError },
    /// A member's score is out of range.
    #[error("member `{file}` has a score out of range")]
    Score {
        /// File of the member.
        file: String,
        source: RunRecordError,
    },
    /// An operator set that does not exist.
    #[error("the manifest has opset {found}, expected 1 or more")]
    Opset { found: i64 },
}

impl ManifestError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Document(error) => error.hint(),
            _ => Some("the bundle is damaged or was edited: get it again from where it came"),
        }
    }
}
