//! The weights that a training starts from.

use std::path::PathBuf;

use vesal_files::digest;
use vesal_network::NetworkConfig;

use super::decision::{Decisions, Group};
use super::{PlannerError, PlannerOutput};
use crate::settings::{Overrides, registry};
use crate::train_plan::InitialWeights;

/// Adds the user's file of weights to the plans of any algorithm. Whether it fits the network is found when the training
/// starts.
///
/// **Errors**: the file cannot be read.
pub(crate) fn decide(plans: &mut PlannerOutput, overrides: &Overrides) -> Result<(), PlannerError> {
    decide_merging(plans, overrides)?;
    let Some(path) = &overrides.init_weights else {
        return Ok(());
    };
    let (path, name) = (PathBuf::from(path), path.clone());
    let digest = digest::sha256_file(&path);
    let (_, sha256) = digest.map_err(|source| PlannerError::InitialWeights {
        path: path.clone(),
        source,
    })?;
    record(plans, |decisions| {
        decisions.optional(&registry::INIT_WEIGHTS, Some(name), "");
    });
    plans.train.init_weights = Some(InitialWeights { path, sha256 });
    Ok(())
}

/// Adds how patches are merged to the plans of a network that merges some.
///
/// **Errors**: it is not stated, and the weights to start from do not tell it.
fn decide_merging(plans: &mut PlannerOutput, overrides: &Overrides) -> Result<(), PlannerError> {
    let NetworkConfig::Swinunetr(network) = &mut plans.train.network else {
        return Ok(());
    };
    if overrides.init_weights.is_some() && overrides.patch_merging.is_none() {
        return Err(PlannerError::PatchMerging);
    }
    let (stated, ruled) = (overrides.patch_merging, network.patch_merging);
    network.patch_merging = stated.unwrap_or(ruled);
    record(plans, |decisions| {
        decisions.by_rule(&registry::PATCH_MERGING, stated, ruled, "");
    });
    Ok(())
}

/// Adds decisions about the network.
fn record(plans: &mut PlannerOutput, decide: impl FnOnce(&mut Decisions)) {
    let mut decisions = Decisions {
        taken: std::mem::take(&mut plans.reasons),
        group: Group::Network,
    };
    decide(&mut decisions);
    plans.reasons = decisions.taken;
}
