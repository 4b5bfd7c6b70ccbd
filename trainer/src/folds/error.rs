//! Errors of the assignment of folds.

use thiserror::Error;

/// Why the cases cannot be assigned to folds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FoldError {
    /// Some cases have a fold and others do not.
    #[error("case `{without}` of the datalist has no `fold`, expected one because `{with}` has")]
    Partial {
        /// A case with a fold.
        with: String,
        without: String,
    },
    /// A fold below the highest one has no cases.
    #[error("the datalist has no case of fold {missing}, expected every fold from 0 to {highest}")]
    Gap {
        /// The fold without cases.
        missing: usize,
        highest: usize,
    },
    /// There is a single fold, which leaves nothing to train on.
    #[error("all cases of the datalist have fold 0, expected at least two folds")]
    Single,
    /// More folds are requested than the datalist has.
    #[error("{wanted} folds are wanted, the datalist gives {given}")]
    TooMany {
        wanted: usize,
        /// Number of folds in the datalist.
        given: usize,
    },
    /// The cases cannot be split into this number of folds.
    #[error(
        "{cases} cases cannot be split into {wanted} folds, expected 2 folds or more, and no more than cases"
    )]
    Split { cases: usize, wanted: usize },
    /// There are fewer patients than folds.
    #[error(
        "{patients} patients cannot be split into {wanted} folds, expected no more folds than patients"
    )]
    Patients { patients: usize, wanted: usize },
}

impl FoldError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Partial { .. } | Self::Gap { .. } | Self::Single => {
                Some("take out every `fold` to have the cases split at random")
            }
            Self::Split { cases: 0 | 1, .. } => Some("list two labeled cases or more"),
            Self::Patients { .. } => Some("ask for fewer folds with `--folds K`"),
            Self::TooMany { .. } | Self::Split { .. } => None,
        }
    }
}
