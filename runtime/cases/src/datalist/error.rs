//! Why a datalist cannot be used.

use thiserror::Error;

/// Why the bytes of a datalist cannot be used.
#[derive(Debug, Error)]
pub enum DatalistError {
    #[error("the datalist is not JSON")]
    Json { source: serde_json::Error },
    /// JSON that is no object.
    #[error("the datalist is {found}, expected an object with lists of cases")]
    NoLists { found: &'static str },
    /// A list of another form.
    #[error("the datalist has {found} as `{list}`, expected a list of cases")]
    List {
        list: &'static str,
        found: &'static str,
    },
    /// No case to train on.
    #[error("the datalist has no case under `training`{}", other(keys))]
    Empty {
        /// Keys that nothing reads.
        keys: Vec<String>,
    },
    /// One item breaks a rule.
    #[error("item {index} of `{list}` in the datalist: {rule}")]
    Item {
        list: &'static str,
        /// Position in it, from 0.
        index: usize,
        rule: ItemError,
    },
}

/// Why an item is not a case.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ItemError {
    #[error("it is {found}, expected an object with `image` and `label`")]
    NoObject { found: &'static str },
    #[error("it has no `image`, expected a file or a list of files")]
    NoImage,
    /// Something else than files.
    #[error("`{key}` is {found}, expected {expected}")]
    Files {
        key: String,
        found: &'static str,
        /// The expected number of files.
        expected: &'static str,
    },
    /// A fold that is not a number.
    #[error("`fold` is {found}, expected a whole number from 0")]
    Fold { found: String },
    /// An image that the task does not name.
    #[error("it has an image under `{key}`, which the task does not name under `extra_modalities`")]
    UnknownImage { key: String },
    /// An image that the task names is absent.
    #[error("it has no `{key}`, which the task names under `extra_modalities`")]
    MissingImage { key: String },
    /// A patient that is not a text.
    #[error("`patient` is {found}, expected a text or a number")]
    Patient { found: &'static str },
    /// A path outside of the data root.
    #[error("`{path}` is outside of the data root")]
    Outside { path: String },
}

impl DatalistError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Item {
                rule: ItemError::Outside { .. },
                ..
            } => Some(
                "set `dataroot` to a folder that holds all files, and list them relative to it",
            ),
            Self::Item {
                rule: ItemError::UnknownImage { .. },
                ..
            } => Some(
                "channels on one grid are a list under `image`; an image on a grid of its own needs an entry such as \
                 `extra_modalities: {image2: pet}` in the task",
            ),
            Self::Json { .. } => Some(
                "JSON has texts in double quotes, and no comma after the last entry of a list or an object",
            ),
            Self::Empty { .. }
            | Self::List { .. }
            | Self::NoLists { .. }
            | Self::Item {
                rule: ItemError::NoImage | ItemError::NoObject { .. },
                ..
            } => Some(
                "a datalist is `{\"training\": [{\"image\": \"images/a.nii.gz\", \"label\": \"labels/a.nii.gz\"}]}`",
            ),
            _ => None,
        }
    }
}

/// Most keys that a message names.
const MOST_KEYS: usize = 5;

/// The text ` but the keys …`, or nothing.
fn other(keys: &[String]) -> String {
    let told = keys.iter().take(MOST_KEYS);
    let told: Vec<_> = told.map(|key| format!("`{key}`")).collect();
    match (told.as_slice(), keys.len() > MOST_KEYS) {
        ([], _) => String::new(),
        (told, false) => format!(", but has {}", told.join(", ")),
        (told, true) => format!(", but has {} and others", told.join(", ")),
    }
}
