//! The networks of an ensemble.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::ManifestError;
use super::rules::digest_form;
use crate::name;
use crate::run_record::Score;

/// One ONNX network of the ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Path of its ONNX file in the bundle.
    pub file: String,
    /// Path of its deploy plan in the bundle.
    pub deploy_plan: String,
    /// Weight of its probabilities in the ensemble's mean, or of its vote; positive.
    pub weight: f64,
    /// Provenance.
    pub provenance: MemberProvenance,
}

/// Origin of a member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MemberProvenance {
    Trained {
        algorithm: String,
        /// Held-out fold.
        fold: usize,
        score: Score,
        /// SHA-256 of the weights file.
        weights_sha256: String,
        /// Versions of the programs and libraries that trained it, by name.
        versions: BTreeMap<String, String>,
    },
    /// Imported from a MONAI checkpoint.
    ImportedMonai {
        /// File name of the checkpoint, without folders.
        checkpoint: String,
        /// SHA-256 of the checkpoint.
        checkpoint_sha256: String,
        /// The checkpoint's own `epoch`, if it has one.
        epoch: Option<u64>,
        /// The checkpoint's own `best_metric`, if it has one.
        best_metric: Option<f64>,
    },
}

impl MemberProvenance {
    /// The fold that the member did not train on, where it is known.
    pub fn fold(&self) -> Option<usize> {
        match self {
            Self::Trained { fold, .. } => Some(*fold),
            Self::ImportedMonai { .. } => None,
        }
    }
}

impl Member {
    pub(super) fn validate(&self) -> Result<(), ManifestError> {
        let file = || self.file.clone();
        if !(self.weight.is_finite() && self.weight > 0.) {
            return Err(ManifestError::Weight {
                file: file(),
                found: self.weight,
            });
        }
        match &self.provenance {
            MemberProvenance::Trained {
                score,
                weights_sha256,
                ..
            } => {
                digest_form(
                    || format!("the weights behind `{}`", self.file),
                    weights_sha256,
                )?;
                score.validate().map_err(|source| ManifestError::Score {
                    file: file(),
                    source,
                })
            }
            MemberProvenance::ImportedMonai {
                checkpoint,
                checkpoint_sha256,
                ..
            } => {
                digest_form(
                    || format!("the checkpoint behind `{}`", self.file),
                    checkpoint_sha256,
                )?;
                name::check(checkpoint).map_err(|source| ManifestError::Name {
                    of: "checkpoint name",
                    source,
                })
            }
        }
    }
}
