//! DiNTS: cells between nodes of four resolutions, as a search arranged them.

mod architecture;
mod cells;
mod codes;
mod config;
mod inferred;
mod size;

pub use architecture::{DintsArchitecture, DintsArchitectureError};
pub use cells::{CellOperation, CellPath, CellRate, DintsCell};
pub use codes::{CodeRow, DintsCodes};
pub use config::DintsConfig;

use crate::error::{ArchitectureError, ConfigError};
use crate::family::{Activations, Family};
use crate::residual_unet::MAX_CHANNELS;
use crate::shapes::Shapes;

impl DintsConfig {
    /// The network with this architecture that a state dict belongs to.
    ///
    /// **Errors**: [`ArchitectureError`], for the first block whose cells are others.
    pub fn infer_with(
        shapes: &Shapes<'_>,
        architecture: DintsArchitecture,
    ) -> Result<Self, ArchitectureError> {
        inferred::infer_with(shapes, architecture)
    }
}

impl Family for DintsConfig {
    const NAME: &'static str = "DiNTS";

    fn validate(&self) -> Result<(), ConfigError> {
        for (field, found) in [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("filters", self.filters),
        ] {
            if found == 0 {
                return Err(ConfigError::Zero { field });
            }
            if found > MAX_CHANNELS {
                let max = MAX_CHANNELS;
                return Err(ConfigError::TooLarge { field, found, max });
            }
        }
        Ok(())
    }

    fn in_channels(&self) -> usize {
        self.in_channels
    }

    fn out_channels(&self) -> usize {
        self.out_channels
    }

    /// The coarsest node has two voxels of each axis at least.
    fn shape_factor(&self) -> [usize; 3] {
        [32; 3]
    }

    fn is_head(tensor: &str) -> bool {
        tensor.starts_with("stem_finals.1.")
    }

    /// Each node has a convolution of the image.
    fn reads_image(tensor: &str) -> bool {
        let node = tensor.strip_prefix("stem_down.");
        node.is_some_and(|node| node.ends_with(".mod.1.weight"))
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.all_tensors()
    }

    fn parameters(&self) -> u64 {
        let tensors = self.all_tensors();
        let sizes = tensors
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>() as u64);
        sizes.sum()
    }

    fn activations(&self, patch: [usize; 3]) -> Activations {
        self.step(patch)
    }

    fn recognizes(shapes: &Shapes<'_>) -> bool {
        shapes.starts_with("dints_space.cell_tree.")
    }

    /// Cells that change nothing have no tensors: only the default architecture is told from tensors alone.
    fn infer(shapes: &Shapes<'_>) -> Result<Self, ArchitectureError> {
        inferred::infer(shapes)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        inferred::facts(self, &self.architecture.traced())
    }

    fn facts_of(
        &self,
        shapes: &Shapes<'_>,
    ) -> Result<Vec<(&'static str, String)>, ArchitectureError> {
        inferred::facts_of(shapes, &self.architecture)
    }
}
