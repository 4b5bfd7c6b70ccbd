//! The ensemble in a manifest: combination, choice and score of the members.

use serde::{Deserialize, Serialize};
use vesal_volume::postprocess::Combine;

use crate::case_scores::MeanScore;
use crate::manifest::ManifestError;
use crate::name;

/// The ensemble of a bundle as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleRecord {
    /// How the members' predictions are combined.
    pub combine: Combine,
    pub selection: Selection,
    /// Score over cases of which each was predicted by the one member that did not train on it; null where there is no
    /// such score.
    pub out_of_fold: Option<MeanScore>,
}

/// How the members were chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    pub rule: SelectionRule,
    /// The rule and its numbers in words.
    pub reason: String,
    /// Folds that were to be trained and have no finished run.
    pub missing_folds: Vec<usize>,
}

/// Rules of choosing members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectionRule {
    /// The run of highest mean Dice of each fold.
    BestByFold,
    /// The runs of highest mean Dice.
    BestN,
    All,
    /// Runs that a file lists with their weights.
    Custom,
    /// No choice: the networks were given.
    #[default]
    Given,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            rule: SelectionRule::Given,
            reason: "the networks that were given".into(),
            missing_folds: Vec::new(),
        }
    }
}

impl EnsembleRecord {
    /// Checks what the types do not express.
    pub(crate) fn validate(&self) -> Result<(), ManifestError> {
        name::check(&self.selection.reason).map_err(|source| ManifestError::Reason { source })?;
        match &self.out_of_fold {
            Some(score) => score
                .validate()
                .map_err(|source| ManifestError::EnsembleScore { source }),
            None => Ok(()),
        }
    }
}
