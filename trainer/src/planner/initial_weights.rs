//! The weights that a training starts from.

use std::path::PathBuf;

use vesal_files::digest;

use super::decision::{Decisions, Group};
use super::{PlannerError, PlannerOutput};
use crate::settings::{Overrides, registry};
use crate::train_plan::InitialWeights;

/// Adds the user's file of weights to the plans of any algorithm. Whether it fits the network is found when the training
/// starts.
///
/// **Errors**: the file cannot be read.
pub(crate) fn decide(plans: &mut PlannerOutput, overrides: &Overrides) -> Result<(), PlannerError> {
    let Some(path) = &overrides.init_weights else {
        return Ok(());
    };
    let (path, name) = (PathBuf::from(path), path.clone());
    let digest = digest::sha256_file(&path);
    let (_, sha256) = digest.map_err(|source| PlannerError::InitialWeights {
        path: path.clone(),
        source,
    })?;
    let mut decisions = Decisions {
        taken: std::mem::take(&mut plans.reasons),
        group: Group::Network,
    };
    decisions.optional(&registry::INIT_WEIGHTS, Some(name), "");
    plans.reasons = decisions.taken;
    plans.train.init_weights = Some(InitialWeights { path, sha256 });
    Ok(())
}
