//! Swin UNETR: shifted windows of attention encode, residual blocks of convolutions decode.

mod config;
mod merging;
mod size;
mod tensors;
mod windows;

pub use config::SwinUnetrConfig;
pub use merging::PatchMerging;
pub use windows::ShiftedWindows;

use crate::error::{ArchitectureError, ConfigError, WindowSizeError};
use crate::family::{Activations, Family, check_multiples};
use crate::residual_unet::MAX_CHANNELS;
use crate::shapes::Shapes;

/// Voxels of the input along each axis for one of the deepest stage.
const FACTOR: usize = 32;
/// What `feature_size` is a multiple of.
const FEATURE_FACTOR: usize = 12;
/// Most features of the first stage: the deepest has 16 times as many.
const MAX_FEATURES: usize = 384;

impl Family for SwinUnetrConfig {
    const NAME: &'static str = "Swin UNETR";

    fn validate(&self) -> Result<(), ConfigError> {
        for (field, found, max) in [
            ("in_channels", self.in_channels, MAX_CHANNELS),
            ("out_channels", self.out_channels, MAX_CHANNELS),
            ("feature_size", self.feature_size, MAX_FEATURES),
        ] {
            if found == 0 {
                return Err(ConfigError::Zero { field });
            }
            if found > max {
                return Err(ConfigError::TooLarge { field, found, max });
            }
        }
        if !self.feature_size.is_multiple_of(FEATURE_FACTOR) {
            return Err(ConfigError::Multiple {
                field: "feature_size",
                found: self.feature_size,
                factor: FEATURE_FACTOR,
            });
        }
        Ok(())
    }

    fn in_channels(&self) -> usize {
        self.in_channels
    }

    fn out_channels(&self) -> usize {
        self.out_channels
    }

    fn shape_factor(&self) -> [usize; 3] {
        [FACTOR; 3]
    }

    /// The instance norms of the deepest stage need more than one voxel.
    fn check_window(&self, window: [usize; 3]) -> Result<(), WindowSizeError> {
        check_multiples(window, self.shape_factor())?;
        if window == [FACTOR; 3] {
            return Err(WindowSizeError::OneVoxel { found: window });
        }
        Ok(())
    }

    fn is_head(tensor: &str) -> bool {
        tensor.starts_with("out.")
    }

    /// Tokens and the finest encoder, which joins the image by a convolution of one voxel as well.
    fn reads_image(tensor: &str) -> bool {
        tensors::OF_IMAGE.contains(&tensor)
    }

    /// Those of the tokens of the finest stage in their windows.
    fn most_indices(&self, window: [usize; 3]) -> usize {
        let tokens = window.map(|side| (side >> 1).max(1));
        let padded = ShiftedWindows::new(tokens, false).padded();
        padded.into_iter().fold(1, usize::saturating_mul)
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.all_tensors()
    }

    fn parameters(&self) -> u64 {
        self.count_parameters()
    }

    fn activations(&self, patch: [usize; 3]) -> Activations {
        self.count_activations(patch)
    }

    fn recognizes(shapes: &Shapes<'_>) -> bool {
        shapes.contains(tensors::PATCH_EMBEDDING)
    }

    /// The order of patch merging is that of current versions of MONAI.
    fn infer(shapes: &Shapes<'_>) -> Result<Self, ArchitectureError> {
        Self::from_shapes(shapes)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("in_channels", self.in_channels.to_string()),
            ("out_channels", self.out_channels.to_string()),
            ("feature_size", self.feature_size.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(in_channels: usize, out_channels: usize, feature_size: usize) -> SwinUnetrConfig {
        SwinUnetrConfig {
            in_channels,
            out_channels,
            feature_size,
            patch_merging: PatchMerging::default(),
        }
    }

    #[test]
    fn fields_out_of_range_are_named() {
        assert_eq!(config(1, 2, 48).validate(), Ok(()));
        let refused = |config: SwinUnetrConfig| config.validate().unwrap_err().to_string();
        assert_eq!(
            refused(config(1, 2, 50)),
            "network field `feature_size` is 50, expected a multiple of 12"
        );
        assert_eq!(
            refused(config(1, 0, 48)),
            "network field `out_channels` is 0, expected at least 1"
        );
        assert_eq!(
            refused(config(1, 2, 396)),
            "network field `feature_size` is 396, expected at most 384"
        );
    }

    #[test]
    fn windows_have_more_than_one_voxel_on_the_deepest_stage() {
        let config = config(1, 2, 12);
        assert_eq!(config.check_window([64, 32, 32]), Ok(()));
        let refused = |window| config.check_window(window).unwrap_err().to_string();
        assert_eq!(
            refused([96, 48, 32]),
            "the window has 48 voxels on axis 1, expected a multiple of 32"
        );
        assert_eq!(
            refused([32; 3]),
            "a window of [32, 32, 32] voxels leaves one voxel on the network's deepest level, expected at least 2"
        );
    }
}
