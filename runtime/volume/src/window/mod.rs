//! Sliding windows: placement, weights, and stitching of their outputs into a volume.

mod blending;
mod grid;
mod importance;
mod inferer;
mod patch;
mod plan;
mod predictor;
mod stitch;
mod validate;

pub use blending::{Blending, Stitcher};
pub use grid::WindowGrid;
pub use importance::importance_map;
pub use inferer::{SlidingWindowInferer, StitchError, WindowProgress, inferer_bytes};
pub use plan::{Blend, Padding, WindowPlan};
pub use predictor::PatchPredictor;
pub use stitch::{stitch, stitch_planes};
pub use validate::WindowError;
