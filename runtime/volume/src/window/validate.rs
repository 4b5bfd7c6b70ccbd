//! Validation of window plans.

use thiserror::Error;

use super::{Blend, Padding, WindowPlan};

/// Names of the spatial axes, in index order.
const AXES: [char; 3] = ['X', 'Y', 'Z'];

/// Why windows cannot be placed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum WindowError {
    /// A window without voxels.
    #[error("window size along {axis} is 0 voxels, expected at least 1")]
    ZeroSize {
        /// Axis of the empty extent.
        axis: char,
    },
    /// An overlap that leaves no step between neighbors, or is not a number.
    #[error("window overlap along {axis} is {found}, expected a fraction in [0, 1)")]
    Overlap {
        /// Axis of the bad overlap.
        axis: char,
        /// The overlap in the plan.
        found: f64,
    },
    #[error("window blending has sigma scale {found}, expected a finite number above 0")]
    SigmaScale {
        /// The scale in the plan.
        found: f64,
    },
    /// Padding with a value that is not finite.
    #[error("window padding has value {found}, expected a finite number")]
    PaddingValue {
        /// The value in the plan.
        found: f32,
    },
    /// A window beyond the address space.
    #[error("window of {} x {} x {} voxels exceeds the address space", size[0], size[1], size[2])]
    TooLarge {
        /// The size in the plan, in voxels.
        size: [usize; 3],
    },
    /// A volume without voxels.
    #[error(
        "volume has {} x {} x {} voxels, expected at least 1 along every axis",
        shape[0], shape[1], shape[2]
    )]
    EmptyVolume {
        /// Shape of the volume in voxels.
        shape: [usize; 3],
    },
}

impl WindowPlan {
    /// Checks that windows of this plan can be placed, weighted and padded.
    ///
    /// **Errors**: the first rule that the plan breaks, axis by axis.
    pub fn validate(&self) -> Result<(), WindowError> {
        for ((axis, size), overlap) in AXES.into_iter().zip(self.size).zip(self.overlap) {
            if size == 0 {
                return Err(WindowError::ZeroSize { axis });
            }
            if !(0.0..1.0).contains(&overlap) {
                return Err(WindowError::Overlap {
                    axis,
                    found: overlap,
                });
            }
        }
        match self.blend {
            Blend::Gaussian { sigma_scale } if !(sigma_scale.is_finite() && sigma_scale > 0.0) => {
                return Err(WindowError::SigmaScale { found: sigma_scale });
            }
            _ => {}
        }
        match self.padding {
            Padding::Constant(value) if !value.is_finite() => {
                return Err(WindowError::PaddingValue { found: value });
            }
            _ => {}
        }
        let bytes = self
            .size
            .iter()
            .try_fold(size_of::<f32>(), |bytes, &extent| bytes.checked_mul(extent));
        match bytes {
            Some(bytes) if isize::try_from(bytes).is_ok() => Ok(()),
            _ => Err(WindowError::TooLarge { size: self.size }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> WindowPlan {
        WindowPlan {
            size: [4, 5, 6],
            overlap: [0.0, 0.5, 0.999],
            blend: Blend::Gaussian { sigma_scale: 0.125 },
            padding: Padding::Constant(0.0),
        }
    }

    #[test]
    fn accepts_the_bounds() {
        assert_eq!(plan().validate(), Ok(()));
        assert_eq!(
            WindowPlan {
                size: [1; 3],
                ..plan()
            }
            .validate(),
            Ok(())
        );
    }

    #[test]
    fn names_the_axis_and_the_value() {
        let zero = WindowPlan {
            size: [4, 0, 6],
            ..plan()
        };
        assert_eq!(zero.validate(), Err(WindowError::ZeroSize { axis: 'Y' }));
        let full = WindowPlan {
            overlap: [0.0, 0.0, 1.0],
            ..plan()
        };
        assert_eq!(
            full.validate().unwrap_err().to_string(),
            "window overlap along Z is 1, expected a fraction in [0, 1)"
        );
        for overlap in [-0.1, f64::NAN, f64::INFINITY] {
            let bad = WindowPlan {
                overlap: [overlap, 0.0, 0.0],
                ..plan()
            };
            assert!(
                matches!(bad.validate(), Err(WindowError::Overlap { axis: 'X', .. })),
                "{overlap}"
            );
        }
    }

    #[test]
    fn refuses_a_gaussian_without_width_and_padding_without_value() {
        for sigma_scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let bad = WindowPlan {
                blend: Blend::Gaussian { sigma_scale },
                ..plan()
            };
            assert!(
                matches!(bad.validate(), Err(WindowError::SigmaScale { .. })),
                "{sigma_scale}"
            );
        }
        let bad = WindowPlan {
            padding: Padding::Constant(f32::NAN),
            ..plan()
        };
        assert!(matches!(
            bad.validate(),
            Err(WindowError::PaddingValue { .. })
        ));
    }

    #[test]
    fn refuses_a_window_beyond_the_address_space() {
        let size = [usize::MAX, 2, 1];
        assert_eq!(
            WindowPlan { size, ..plan() }.validate(),
            Err(WindowError::TooLarge { size })
        );
    }
}
