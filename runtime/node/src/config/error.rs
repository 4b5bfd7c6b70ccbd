//! Errors of settings.

use std::io;
use std::path::PathBuf;

/// Why a settings file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NodeConfigError {
    /// The system cannot read it.
    #[error("cannot read the settings `{}`: {reason}", path.display())]
    Io { path: PathBuf, reason: io::Error },
    /// Invalid TOML, unknown keys, or values of a wrong type.
    #[error("the settings `{}` are wrong at line {line}, column {column}: {message}", path.display())]
    Syntax {
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Character in the line, from 1.
        column: usize,
        message: String,
    },
    /// A value breaks a rule.
    #[error("the settings `{}` are wrong: `{key}` {fault}", path.display())]
    Value {
        path: PathBuf,
        key: String,
        fault: ValueFault,
    },
}

impl NodeConfigError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { .. } => Some("`vesal serve --example` prints settings to start from"),
            Self::Syntax { .. } | Self::Value { .. } => {
                Some("`vesal serve --example` prints every setting with its meaning")
            }
        }
    }
}

/// The rule that a value breaks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ValueFault {
    /// Not an AE title.
    #[error("is `{found}`, expected an AE title: 1 to 16 characters of ASCII without `\\`")]
    AeTitle { found: String },
    /// A time out of range.
    #[error("is {found}, expected a time of {least} to {most} {unit}")]
    Time {
        found: f64,
        least: f64,
        most: f64,
        /// Unit of these numbers.
        unit: &'static str,
    },
    /// A number out of range.
    #[error("is {found}, expected {expected}")]
    Number { found: f64, expected: &'static str },
    /// A word that is not in the list.
    #[error("is `{found}`, expected one of {expected}")]
    Word {
        found: String,
        expected: &'static str,
    },
    #[error("is `{found}` twice")]
    Twice { found: String },
    #[error("names `{found}`, but there is no `[[destination]]` of that name")]
    NoDestination { found: String },
    /// An option that the node sets itself.
    #[error("has `{found}`, {instead}")]
    Option { found: String, instead: String },
    #[error("is empty, expected {expected}")]
    Empty {
        /// The expected content.
        expected: &'static str,
    },
    /// Results would neither be sent nor kept.
    #[error("is empty while `keep` is \"none\": results would go nowhere")]
    Nowhere,
    /// A report without a segmentation to refer to.
    #[error("has `report` without `seg` or `labelmap`, whose segments it refers to")]
    LoneReport,
    /// No DICOM format for the destinations.
    #[error("has no DICOM format (seg, labelmap, rtstruct, report) to send to a destination")]
    NothingToSend,
    /// A required signature without a key to verify it.
    #[error("is true without a `bundle_key` that signatures are verified with")]
    NoKey,
}
