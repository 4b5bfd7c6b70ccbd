//! Settings of phantoms.

use crate::orientation::Orientation;

/// The scanner that a phantom imitates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scanner {
    /// Hounsfield units.
    Ct,
    /// Arbitrary units of another scale in every image, unevenly bright; air is zero.
    Mr,
}

/// Parameters of a phantom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhantomSettings {
    /// Voxels along each axis of the image, `[X, Y, Z]`.
    pub shape: [usize; 3],
    /// Spacing in mm, `[X, Y, Z]`.
    pub spacing_mm: [f64; 3],
    /// The way in which the image's axes run.
    pub orientation: Orientation,
    /// Angle between the image's axes and the world's, about an oblique axis.
    pub tilt_degrees: f64,
    pub scanner: Scanner,
    /// Equal seeds make equal phantoms.
    pub seed: u64,
}

impl PhantomSettings {
    /// A magnetic resonance image of 48³ voxels of 1 mm whose axes run to the right, anterior and superior.
    pub fn new(seed: u64) -> Self {
        Self {
            shape: [48; 3],
            spacing_mm: [1.0; 3],
            orientation: Orientation::RAS,
            tilt_degrees: 0.0,
            scanner: Scanner::Mr,
            seed,
        }
    }
}
