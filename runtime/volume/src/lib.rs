//! Volumes, geometry, preprocessing, sliding windows and measures for 3-D medical images.
//!
//! Pure mathematics, no input or output. World space is RAS+ millimeters in `f64`, voxel centers lie at integer
//! indices, and the axis order is `[C, X, Y, Z]` everywhere: shape, spacing, window, overlap and affine columns agree.

pub mod crop;
pub mod exponential;
pub mod geometry;
pub mod intensity;
pub mod measure;
pub mod orientation;
pub mod phantom;
pub mod postprocess;
pub mod preprocess;
pub mod resample;
pub mod volume;
pub mod window;

pub use geometry::{Affine, Geometry, GridDifference};
pub use volume::{LabelMap, Volume};
