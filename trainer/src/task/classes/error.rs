//! Errors of classes.

use thiserror::Error;
use vesal_bundle::name::NameError;

/// Why the classes are invalid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClassError {
    /// `class_names` is not a list of classes.
    #[error(
        "`class_names` of the task is {found}, expected a list of names, or of `name` and `index`"
    )]
    List { found: String },
    /// A class is neither a name nor a name with an index.
    #[error(
        "class {position} of `class_names` is {found}, expected all to be names, or all to have `name` and `index`"
    )]
    Item {
        /// Position of the class, from 0.
        position: usize,
        found: String,
    },
    /// An entry of a mapping is no label value with a name.
    #[error(
        "`class_names` of the task has the entry {key}, expected label values from 1 to 65535, each with a name"
    )]
    Entry { key: String },
    #[error("`class_names` of the task has label {label} twice")]
    TwiceValued { label: u16 },
    /// A name breaks the rules for names.
    #[error("`class_names` of the task has an unusable name")]
    Name(#[from] NameError),
    /// Two classes share a name.
    #[error("`class_names` of the task has `{name}` twice")]
    TwiceNamed { name: String },
    /// Background is listed, although it is always label 0.
    #[error("`class_names` of the task has `{name}`, expected the labels 1, 2, … only")]
    Background { name: String },
    /// The labels of a class are no valid label values.
    #[error(
        "`index` of class `{name}` is {found}, expected label values from 1 to 65535, each once"
    )]
    Index { name: String, found: String },
    /// Classes overlap although the task says that they exclude each other.
    #[error(
        "label {label} belongs to both `{first}` and `{second}`, and `sigmoid: false` says that no classes overlap"
    )]
    Overlap {
        label: u16,
        first: String,
        second: String,
    },
    /// There are more classes than a plan can hold.
    #[error("`class_names` of the task has {found} {what}, expected at most {most}")]
    Count {
        found: usize,
        what: &'static str,
        /// Maximum number.
        most: usize,
    },
    /// The label maps of a task without class names have more labels than a plan can hold.
    #[error(
        "the label maps have {found} labels besides 0, expected at most {most} where `class_names` names none"
    )]
    TooManyFound { found: usize, most: usize },
}

impl ClassError {
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Background { .. } => "leave background out: it is always label 0",
            Self::Overlap { .. } => {
                "leave `sigmoid` out: overlapping classes become regions of their own"
            }
            Self::Count { .. } => "segment fewer classes, or train several bundles",
            Self::TooManyFound { .. } => {
                "look whether `label` in the datalist names label maps, not images; `class_names` chooses labels"
            }
            Self::Entry { .. } => {
                "`class_names: {1: liver, 5: tumor}` names the labels 1 and 5; regions are a list, such as \
                 `[{name: whole, index: [1, 2]}, {name: tumor, index: [2]}]`"
            }
            _ => {
                "`class_names: [liver, tumor]` names the labels 1 and 2; \
                 `class_names: [{name: whole, index: [1, 2]}, {name: tumor, index: [2]}]` joins labels"
            }
        }
    }
}
