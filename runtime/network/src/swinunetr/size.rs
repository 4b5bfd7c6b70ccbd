//! How large a network is, without building it.

use super::config::SwinUnetrConfig;
use super::windows::ShiftedWindows;
use crate::family::Activations;

impl SwinUnetrConfig {
    pub(super) fn count_parameters(&self) -> u64 {
        let tensors = self.all_tensors().into_iter();
        let sizes = tensors.map(|(_, shape)| shape.into_iter().product::<usize>() as u64);
        sizes.sum()
    }

    /// What a training step on a patch of this size holds.
    ///
    /// **Definition**: of a block of attention the tokens in windows before attention, their queries, keys and values,
    /// and what attention gives (its weights are computed again for gradients); then a layer norm, two linear maps with a
    /// nonlinearity, and both sums. Of a residual block every convolution, every norm, and the sum before and after its
    /// nonlinearity; of the decoder also what is sampled up and joined.
    pub(super) fn count_activations(&self, patch: [usize; 3]) -> Activations {
        let c = self.feature_size as u64;
        let voxels = |level: usize| volume(patch.map(|side| side >> level));
        let mut kept = c * voxels(1);
        for stage in 0..Self::STAGES {
            let tokens = patch.map(|side| side >> (stage + 1));
            let channels = self.channels(stage) as u64;
            let one = volume(tokens) * channels;
            for block in 0..Self::BLOCKS {
                let windows = ShiftedWindows::new(tokens, block % 2 == 1);
                kept += 5 * volume(windows.padded()) * channels + 12 * one;
            }
            // Handed to the decoder; eight neighbors, normalized; merged.
            kept += one + 2 * one + 2 * one / 8;
        }
        kept += 16 * c * voxels(5);
        for (level, channels, tensors) in [
            (
                0,
                c,
                residual_tensors(self.in_channels != self.feature_size),
            ),
            (1, c, residual_tensors(false)),
            (2, 2 * c, residual_tensors(false)),
            (3, 4 * c, residual_tensors(false)),
            (5, 16 * c, residual_tensors(false)),
        ] {
            kept += tensors * channels * voxels(level);
        }
        for decoder in 1..=5 {
            let [_, channels] = self.decoder_channels(decoder);
            kept += (3 + residual_tensors(true)) * channels as u64 * voxels(decoder - 1);
        }
        let logits = self.out_channels as u64 * voxels(0);
        Activations {
            kept,
            largest: 2 * c * voxels(0),
            logits,
            finest_logits: logits,
        }
    }
}

/// Tensors of a residual block, with or without a convolution beside.
fn residual_tensors(has_convolution_beside: bool) -> u64 {
    if has_convolution_beside { 8 } else { 6 }
}

fn volume(sides: [usize; 3]) -> u64 {
    sides.into_iter().map(|side| side as u64).product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swinunetr::merging::PatchMerging;

    fn config(in_channels: usize, out_channels: usize, feature_size: usize) -> SwinUnetrConfig {
        SwinUnetrConfig {
            in_channels,
            out_channels,
            feature_size,
            patch_merging: PatchMerging::default(),
        }
    }

    #[test]
    fn parameters_are_those_of_the_reference() {
        for (channels, features, expected) in [
            ([1, 2], 48, 62_186_708),
            ([1, 3], 48, 62_186_757),
            ([2, 2], 48, 62_188_436),
            ([1, 3], 12, 4_078_077),
            ([2, 2], 12, 4_078_496),
        ] {
            let [inputs, outputs] = channels;
            assert_eq!(
                config(inputs, outputs, features).count_parameters(),
                expected
            );
        }
    }

    #[test]
    fn full_resolution_dominates_and_attention_weights_do_not_count() {
        let found = config(1, 2, 48).count_activations([96; 3]);
        let full = 48 * 96_u64.pow(3);
        // A whole block's attention weights would be 3 heads for 343 windows of 343 tokens squared: 121 million elements.
        assert!(found.kept > 19 * full, "{}", found.kept / full);
        assert!(found.kept < 32 * full, "{}", found.kept / full);
        assert_eq!(found.largest, 2 * full);
        assert_eq!(found.logits, 2 * 96_u64.pow(3));
    }
}
