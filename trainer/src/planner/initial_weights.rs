//! The weights that a training starts from.

use std::path::PathBuf;

use vesal_network::NetworkConfig;

use super::decision::{Decision, Decisions, Group};
use super::{PlannerError, PlannerOutput};
use crate::initial_weights::{self, FittingFile};
use crate::settings::{Overrides, registry};
use crate::train_plan::InitialWeights;

/// Adds the user's file of weights to the plans of any algorithm.
///
/// **Errors**: the file cannot be read, or is of another network than the planned one.
pub(crate) fn decide(plans: &mut PlannerOutput, overrides: &Overrides) -> Result<(), PlannerError> {
    let PlannerOutput { train, reasons, .. } = plans;
    decide_merging(&mut train.network, reasons, overrides)?;
    let Some(path) = &overrides.init_weights else {
        return Ok(());
    };
    let (path, name) = (PathBuf::from(path), path.clone());
    let checked = initial_weights::check(&path, &train.network);
    let FittingFile { sha256, choice } =
        checked.map_err(|source| PlannerError::InitialWeights {
            path: path.clone(),
            source: source.into(),
        })?;
    record(reasons, |decisions| {
        decisions.optional(&registry::INIT_WEIGHTS, Some(name), "");
        if let Some(choice) = choice {
            let rule = "`state_dict` before `model`, and these before other keys";
            decisions.ruled(
                "init_weights_key",
                choice.taken.clone(),
                rule,
                choice.to_string(),
            );
        }
    });
    train.init_weights = Some(InitialWeights { path, sha256 });
    Ok(())
}

/// Adds how patches are merged to the plans of a network that merges some.
///
/// **Errors**: it is not stated, and the weights to start from do not tell it.
fn decide_merging(
    network: &mut NetworkConfig,
    reasons: &mut Vec<Decision>,
    overrides: &Overrides,
) -> Result<(), PlannerError> {
    let NetworkConfig::Swinunetr(network) = network else {
        return Ok(());
    };
    if overrides.init_weights.is_some() && overrides.patch_merging.is_none() {
        return Err(PlannerError::PatchMerging);
    }
    let (stated, ruled) = (overrides.patch_merging, network.patch_merging);
    network.patch_merging = stated.unwrap_or(ruled);
    record(reasons, |decisions| {
        decisions.by_rule(&registry::PATCH_MERGING, stated, ruled, "");
    });
    Ok(())
}

/// Adds decisions about the network.
fn record(reasons: &mut Vec<Decision>, decide: impl FnOnce(&mut Decisions)) {
    let mut decisions = Decisions {
        taken: std::mem::take(reasons),
        group: Group::Network,
    };
    decide(&mut decisions);
    *reasons = decisions.taken;
}

#[cfg(test)]
mod tests {
    use vesal_network::{PatchMerging, SwinUnetrConfig};

    use super::*;

    fn merging(settings: &[&str]) -> Result<PatchMerging, PlannerError> {
        let mut overrides = Overrides::default();
        for setting in settings {
            overrides.set_text(setting).unwrap();
        }
        let mut network = NetworkConfig::from(SwinUnetrConfig {
            in_channels: 1,
            out_channels: 2,
            feature_size: 12,
            patch_merging: PatchMerging::Monai15,
        });
        let mut reasons = Vec::new();
        decide_merging(&mut network, &mut reasons, &overrides)?;
        assert_eq!(reasons[0].is_set(), settings.len() > 1);
        match network {
            NetworkConfig::Swinunetr(network) => Ok(network.patch_merging),
            _ => panic!("another network"),
        }
    }

    #[test]
    fn weights_do_not_tell_how_patches_are_merged() {
        const FILE: &str = "init_weights=/data/swin.pt";
        assert_eq!(merging(&[]).unwrap(), PatchMerging::Monai15);
        let error = merging(&[FILE]).unwrap_err();
        assert!(matches!(error, PlannerError::PatchMerging), "{error}");
        for (stated, expected) in [
            ("patch_merging=monai_1_4", PatchMerging::Monai14),
            ("network#patch_merging=monai_1_5", PatchMerging::Monai15),
        ] {
            assert_eq!(merging(&[FILE, stated]).unwrap(), expected);
        }
    }
}
