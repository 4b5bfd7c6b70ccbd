//! Random changes to the patches of SwinUNETR.

use crate::algorithms::segresnet;
use crate::augment::random::{maybe_factor, maybe_flip, maybe_offset, maybe_turn};
use crate::augment::{Patch, scale_and_shift};
use crate::rng::Rng;
use crate::settings::AugmentMode;
use crate::train_plan::TrainPlan;

/// Changes a patch at random by the `augment_mode` of a plan.
///
/// **Definition**: by `default`, each with its own probability, in this order: mirroring of each axis of `augment_flips`
/// (0.2); rotation by 90, 180 or 270 degrees in each plane of `augment_rots` (0.2), which is that of the first two axes
/// unless the user sets others; intensities times 0.9 to 1.1 (0.1), plus -0.1 to 0.1 (0.1). The other modes are those of
/// segresnet.
///
/// **Source**: Auto3DSeg swinunetr, `transforms_train`; the other modes are defined here.
pub fn augment(patch: &mut Patch, plan: &TrainPlan, rng: &mut Rng) {
    if plan.augment_mode != AugmentMode::Default {
        return segresnet::augmentation::augment(patch, plan, rng);
    }
    maybe_flip(patch, 0.2, &plan.augment_flips, rng);
    maybe_turn(patch, 0.2, &plan.augment_rots, rng);
    let scale = maybe_factor(0.1, 0.1, rng);
    let shift = maybe_offset(0.1, 0.1, rng);
    scale_and_shift(&mut patch.image, scale as f32, shift as f32);
}
