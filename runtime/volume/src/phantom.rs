//! Synthetic patients: small images with known labels, for demonstrations and tests.
//!
//! A phantom is a soft body with a bright rim, a bright spine and two labeled organs. The spine is as bright as one
//! organ, and noise makes every tissue overlap with its neighbors, so that no threshold segments it; the surroundings
//! of a few voxels distinguish the organs.

use ndarray::{Array3, Array4};
use rayon::prelude::*;

use crate::geometry::matrix::{self, Matrix};
use crate::geometry::{Affine, Geometry};
use crate::orientation::{AxisTransform, Orientation};
use crate::volume::{LabelMap, Volume};

mod blob;
mod patient;
mod random;
mod settings;

pub use settings::{PhantomSettings, Scanner};

use patient::SyntheticPatient;
use random::Random;

/// Names of a phantom's labels; the position is the value in the label map.
pub const LABEL_NAMES: [&str; 3] = ["background", "liver", "kidney"];

/// Fewest voxels along an axis with which both organs are visible.
pub const MIN_AXIS_VOXELS: usize = 12;

/// Why a phantom cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum PhantomError {
    /// The image would be too small to hold the organs.
    #[error(
        "phantom has shape {shape:?}, expected at least {MIN_AXIS_VOXELS} voxels along each axis"
    )]
    Shape { shape: [usize; 3] },
    #[error("phantom has spacing {spacing_mm:?} mm, expected positive numbers")]
    Spacing {
        /// Spacing found in mm.
        spacing_mm: [f64; 3],
    },
}

/// An image with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Phantom {
    /// One channel of intensities.
    pub volume: Volume,
    /// Labels on the same grid, named by [`LABEL_NAMES`].
    pub labels: LabelMap,
}

/// Makes a phantom.
///
/// **Errors**: [`PhantomError`] for an image too small or without size.
///
/// **Examples**
///
/// ```
/// # use vesal_volume::phantom::{PhantomSettings, make_phantom};
/// let phantom = make_phantom(&PhantomSettings { shape: [16, 20, 12], ..PhantomSettings::new(7) })?;
/// assert_eq!(phantom.volume.data.dim(), (1, 16, 20, 12));
/// assert_eq!(phantom.labels.data.iter().max(), Some(&2));
/// # Ok::<(), vesal_volume::phantom::PhantomError>(())
/// ```
pub fn make_phantom(settings: &PhantomSettings) -> Result<Phantom, PhantomError> {
    let (shape, spacing_mm) = (settings.shape, settings.spacing_mm);
    if shape.iter().any(|&n| n < MIN_AXIS_VOXELS) {
        return Err(PhantomError::Shape { shape });
    }
    if !spacing_mm.iter().all(|mm| mm.is_finite() && *mm > 0.0) {
        return Err(PhantomError::Spacing { spacing_mm });
    }
    let grid = grid(settings);
    let patient = SyntheticPatient::new(settings);
    let to_patient = patient_axes(settings);
    let slab_voxels = shape[1] * shape[2];
    let mut image = vec![0.0_f32; shape[0] * slab_voxels];
    let mut labels = vec![0_u16; shape[0] * slab_voxels];
    image
        .par_chunks_mut(slab_voxels)
        .zip(labels.par_chunks_mut(slab_voxels))
        .enumerate()
        .for_each(|(x, (image, labels))| {
            let mut noise = Random::new(settings.seed).fork(x as u64 + 1);
            for (index, (value, label)) in image.iter_mut().zip(labels).enumerate() {
                let voxel = [x, index / shape[2], index % shape[2]];
                let centered = std::array::from_fn(|axis| {
                    2.0 * (voxel[axis] as f64 + 0.5) / shape[axis] as f64 - 1.0
                });
                let noise = noise.normal();
                (*value, *label) = patient.at(matrix::apply(&to_patient, &centered), noise);
            }
        });
    // Both vectors have this length.
    let data = Array3::from_shape_vec(shape, image).unwrap_or_default();
    let labels = Array3::from_shape_vec(shape, labels).unwrap_or_default();
    let data: Array4<f32> = data.insert_axis(ndarray::Axis(0));
    Ok(Phantom {
        volume: Volume {
            data,
            affine: grid.affine,
        },
        labels: LabelMap {
            data: labels,
            affine: grid.affine,
        },
    })
}

/// From positions in `[-1, 1]` along the image's axes to positions in `[-1, 1]` along the patient's.
fn patient_axes(settings: &PhantomSettings) -> Matrix<3> {
    let mut axes = [[0.0; 3]; 3];
    for (image_axis, code) in settings.orientation.codes().into_iter().enumerate() {
        axes[code.world_axis][image_axis] = if code.reversed { -1.0 } else { 1.0 };
    }
    axes
}

/// The image's grid: centered at the world's origin, turned by the orientation and the tilt.
fn grid(settings: &PhantomSettings) -> Geometry {
    let to_image = AxisTransform::between(Orientation::RAS, settings.orientation);
    let to_ras = to_image.inverse();
    let straight = Geometry {
        shape: to_ras.source.map(|axis| settings.shape[axis]),
        affine: Affine::from_spacing(to_ras.source.map(|axis| settings.spacing_mm[axis])),
    };
    let center = straight
        .affine
        .voxel_to_world(straight.shape.map(|n| (n as f64 - 1.0) / 2.0));
    let centered = Affine::from_parts(straight.affine.linear(), center.map(|mm| -mm));
    let tilt = Affine::from_parts(rotation(settings.tilt_degrees.to_radians()), [0.0; 3]);
    to_image.apply_to_geometry(&Geometry {
        affine: tilt.compose(&centered),
        ..straight
    })
}

/// A rotation about the axis `[2, 1, 2] / 3`, which lies in no plane of the world's axes.
fn rotation(angle: f64) -> Matrix<3> {
    let ([x, y, z], (sin, cos)) = ([2.0 / 3.0, 1.0 / 3.0, 2.0 / 3.0], angle.sin_cos());
    let rest = 1.0 - cos;
    [
        [
            cos + x * x * rest,
            x * y * rest - z * sin,
            x * z * rest + y * sin,
        ],
        [
            y * x * rest + z * sin,
            cos + y * y * rest,
            y * z * rest - x * sin,
        ],
        [
            z * x * rest - y * sin,
            z * y * rest + x * sin,
            cos + z * z * rest,
        ],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(phantom: &Phantom, label: u16) -> usize {
        phantom
            .labels
            .data
            .iter()
            .filter(|value| **value == label)
            .count()
    }

    #[test]
    fn seeds_decide_everything() {
        let settings = PhantomSettings::new(3);
        let first = make_phantom(&settings).unwrap();
        assert_eq!(first, make_phantom(&settings).unwrap());
        let other = make_phantom(&PhantomSettings::new(4)).unwrap();
        assert_ne!(first.labels, other.labels);
    }

    #[test]
    fn every_phantom_has_both_organs() {
        for seed in 0..40 {
            for (scanner, shape) in [(Scanner::Ct, [24, 20, 28]), (Scanner::Mr, [12, 12, 12])] {
                let phantom = make_phantom(&PhantomSettings {
                    shape,
                    scanner,
                    ..PhantomSettings::new(seed)
                })
                .unwrap();
                let voxels: usize = shape.iter().product();
                assert!(
                    count(&phantom, 1) > voxels / 80 && count(&phantom, 2) > voxels / 160,
                    "seed {seed}"
                );
                assert!(count(&phantom, 0) > voxels / 2, "seed {seed}");
                assert!(phantom.volume.data.iter().all(|x| x.is_finite()));
            }
        }
    }

    /// Dice of label 1 against the best interval of intensities between two of the given thresholds.
    fn best_interval_dice(phantom: &Phantom, label: u16) -> f64 {
        let mut voxels: Vec<(f32, bool)> = phantom
            .volume
            .data
            .iter()
            .zip(&phantom.labels.data)
            .map(|(x, l)| (*x, *l == label))
            .collect();
        voxels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let truth = count(phantom, label) as f64;
        let ends: Vec<usize> = (0..=60).map(|step| step * voxels.len() / 60).collect();
        let mut best = 0.0_f64;
        for &start in &ends {
            for &end in ends.iter().filter(|end| **end > start) {
                let hits = voxels[start..end]
                    .iter()
                    .filter(|(_, inside)| *inside)
                    .count() as f64;
                best = best.max(2.0 * hits / (truth + (end - start) as f64));
            }
        }
        best
    }

    #[test]
    fn no_interval_of_intensities_is_an_organ() {
        for scanner in [Scanner::Ct, Scanner::Mr] {
            let phantom = make_phantom(&PhantomSettings {
                shape: [32; 3],
                scanner,
                ..PhantomSettings::new(1)
            })
            .unwrap();
            for label in [1, 2] {
                let dice = best_interval_dice(&phantom, label);
                assert!(dice < 0.85, "{scanner:?} label {label} has Dice {dice:.3}");
            }
        }
    }

    #[test]
    fn tissues_differ_by_more_than_the_error_of_a_local_mean() {
        for scanner in [Scanner::Ct, Scanner::Mr] {
            let phantom = make_phantom(&PhantomSettings {
                scanner,
                ..PhantomSettings::new(2)
            })
            .unwrap();
            let mean_of = |label: u16| {
                let pairs = phantom.volume.data.iter().zip(&phantom.labels.data);
                let values: Vec<f32> = pairs
                    .filter(|(_, l)| **l == label)
                    .map(|(x, _)| *x)
                    .collect();
                let mean = values.iter().sum::<f32>() / values.len() as f32;
                let variance =
                    values.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / values.len() as f32;
                (mean, variance.sqrt())
            };
            let ((liver, spread), (kidney, _)) = (mean_of(1), mean_of(2));
            assert!(
                (liver - kidney).abs() > 1.5 * spread,
                "{scanner:?}: {liver} ± {spread}, {kidney}"
            );
        }
    }

    #[test]
    fn the_patient_stays_in_place_whichever_way_the_axes_run() {
        let center_of = |phantom: &Phantom| {
            let inside = phantom
                .labels
                .data
                .indexed_iter()
                .filter(|(_, label)| **label == 1);
            let (sum, n) = inside.fold(([0.0; 3], 0.0), |(sum, n), ((x, y, z), _)| {
                let world = phantom
                    .labels
                    .affine
                    .voxel_to_world([x as f64, y as f64, z as f64]);
                (std::array::from_fn(|axis| sum[axis] + world[axis]), n + 1.0)
            });
            sum.map(|mm| mm / n)
        };
        let ras = make_phantom(&PhantomSettings::new(5)).unwrap();
        let expected = center_of(&ras);
        assert!(expected[0] > 5.0, "the liver is on the right");
        let orientation: Orientation = "SPL".parse().unwrap();
        let turned = make_phantom(&PhantomSettings {
            orientation,
            ..PhantomSettings::new(5)
        })
        .unwrap();
        assert_eq!(Orientation::of(&turned.volume.affine), Ok(orientation));
        let found = center_of(&turned);
        assert!(
            (0..3).all(|axis| (found[axis] - expected[axis]).abs() < 1e-9),
            "{found:?} {expected:?}"
        );
        let tilted = make_phantom(&PhantomSettings {
            tilt_degrees: 10.0,
            ..PhantomSettings::new(5)
        })
        .unwrap();
        assert_eq!(tilted.labels.data, ras.labels.data);
        assert_ne!(tilted.labels.affine, ras.labels.affine);
        assert!(
            tilted
                .volume
                .affine
                .spacing()
                .iter()
                .all(|mm| (mm - 1.0).abs() < 1e-12)
        );
    }

    #[test]
    fn impossible_settings_are_refused() {
        let small = PhantomSettings {
            shape: [12, 11, 12],
            ..PhantomSettings::new(0)
        };
        assert_eq!(
            make_phantom(&small),
            Err(PhantomError::Shape {
                shape: [12, 11, 12]
            })
        );
        let flat = PhantomSettings {
            spacing_mm: [1.0, 0.0, 1.0],
            ..PhantomSettings::new(0)
        };
        assert!(matches!(
            make_phantom(&flat),
            Err(PhantomError::Spacing { .. })
        ));
    }
}
