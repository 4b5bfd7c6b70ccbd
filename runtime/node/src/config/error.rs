//! Why settings cannot be used.

use std::io;
use std::path::PathBuf;

/// Why a file of settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The system cannot read it.
    #[error("cannot read the settings `{}`: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        reason: io::Error,
    },
    /// It is no TOML, or has keys or values that no setting has.
    #[error("the settings `{}` are wrong at line {line}, column {column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// Character of the line, from 1.
        column: usize,
        /// Why.
        message: String,
    },
    /// A value breaks a rule.
    #[error("the settings `{}` are wrong: `{key}` {fault}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The setting.
        key: String,
        /// The rule.
        fault: Fault,
    },
}

impl ConfigError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { .. } => Some("`vesal serve --example` prints settings to start from"),
            Self::Syntax { .. } | Self::Value { .. } => {
                Some("`vesal serve --example` prints every setting with its meaning")
            }
        }
    }
}

/// Which rule a value breaks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// No AE title.
    #[error("is `{found}`, expected an AE title: 1 to 16 characters of ASCII without `\\`")]
    AeTitle {
        /// The text.
        found: String,
    },
    /// Not a time.
    #[error("is {found}, expected a time of {least} to {most} {unit}")]
    Time {
        /// The number.
        found: f64,
        /// The shortest.
        least: f64,
        /// The longest.
        most: f64,
        /// Of these numbers.
        unit: &'static str,
    },
    /// A number out of range.
    #[error("is {found}, expected {expected}")]
    Number {
        /// The number.
        found: f64,
        /// What is allowed.
        expected: &'static str,
    },
    /// No word of a list.
    #[error("is `{found}`, expected one of {expected}")]
    Word {
        /// The text.
        found: String,
        /// The words.
        expected: &'static str,
    },
    /// Two of them are the same.
    #[error("is `{found}` twice")]
    Twice {
        /// The text.
        found: String,
    },
    /// A destination that is not described.
    #[error("names `{found}`, but there is no `[[destination]]` of that name")]
    NoDestination {
        /// The name.
        found: String,
    },
    /// An option that the node sets itself.
    #[error("has `{found}`, {instead}")]
    Option {
        /// The option.
        found: String,
        /// What to do instead.
        instead: String,
    },
    /// Nothing there.
    #[error("is empty, expected {expected}")]
    Empty {
        /// What it has to hold.
        expected: &'static str,
    },
    /// Results would go nowhere.
    #[error("is empty while `keep` is \"none\": results would go nowhere")]
    Nowhere,
    /// A report without what it reports on.
    #[error("has `report` without `seg` or `labelmap`, whose segments it refers to")]
    LoneReport,
    /// Results that no archive takes.
    #[error("has no DICOM format (seg, labelmap, rtstruct, report) to send to a destination")]
    NothingToSend,
    /// A signature that nothing verifies.
    #[error("is true without a `bundle_key` that signatures are verified with")]
    NoKey,
}
