//! What is measured on one case, and what makes a case unusable.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{ArrayView3, Axis};
use thiserror::Error;
use vesal_io::nifti::{NiftiError, non_finite_voxels, read_channels, read_label_map, read_volume};
use vesal_volume::crop::{VoxelBox, foreground_box};
use vesal_volume::geometry::GeometryError;
use vesal_volume::orientation::{Orientation, reorient_labels, reorient_volume};
use vesal_volume::{Geometry, LabelMap, Volume};

use super::statistics::describe;
use super::stats::{
    CaseForegroundStats, CaseImageStats, CaseLabel, CaseLabelStats, CaseStats, IntensityStats,
};
use crate::datalist::Case;

/// Largest distance between two grids that count as one, in voxels of the finer axis.
const GRID_TOLERANCE_VOXELS: f64 = 0.1;

/// Why a case is left out.
#[derive(Debug, Error)]
pub enum CaseError {
    /// The datalist names no label map.
    #[error("the datalist names no label for it")]
    NoLabel,
    /// A file cannot be read.
    #[error(transparent)]
    Nifti(#[from] NiftiError),
    /// An affine leads nowhere.
    #[error("`{file}` has no usable grid")]
    Geometry {
        /// The file.
        file: String,
        /// The rule.
        source: GeometryError,
    },
    /// Two files have different numbers of voxels.
    #[error("`{file}` has the shape {found:?}, expected {expected:?} as `{first}` has")]
    Shape {
        /// A file.
        file: String,
        /// Its shape in voxels.
        found: [usize; 3],
        /// The case's first image.
        first: String,
        /// That one's shape.
        expected: [usize; 3],
    },
    /// Two files lie in different places.
    #[error(
        "`{file}` lies up to {found_mm:.3} mm away from `{first}`, expected at most {allowed_mm:.3} mm"
    )]
    Place {
        /// A file.
        file: String,
        /// Largest distance of corresponding voxels in mm.
        found_mm: f64,
        /// The case's first image.
        first: String,
        /// The tolerance in mm.
        allowed_mm: f64,
    },
    /// Intensities that are no numbers.
    #[error("its images have {voxels} voxels that are NaN or infinite")]
    NonFinite {
        /// How many.
        voxels: usize,
    },
    /// Labels that the task does not name.
    #[error(
        "`{file}` has the labels {found:?}, expected 0 to {most}, as many as `class_names` has entries"
    )]
    Labels {
        /// The label map.
        file: String,
        /// Labels that have no name.
        found: Vec<u16>,
        /// Largest label with a name.
        most: u16,
    },
    /// A number of channels that other cases do not have.
    #[error("it has {found} channels, expected {expected} as most cases have")]
    Channels {
        /// Its channels.
        found: usize,
        /// Those of most cases.
        expected: usize,
    },
}

/// Reads a case, checks it, and measures it.
pub(super) fn measure(
    case: &Case,
    dataroot: &Path,
    foreground_labels: u16,
) -> Result<CaseStats, CaseError> {
    let label_file = case.label.as_ref().ok_or(CaseError::NoLabel)?;
    let image = read_image(case, dataroot)?;
    let labels = read_label_map(dataroot.join(label_file))?;
    one_grid(case, &image.geometry(), label_file, &labels.geometry())?;
    let (image, labels) = to_ras(image, labels).map_err(|source| CaseError::Geometry {
        file: case.images[0].clone(),
        source,
    })?;
    let voxels = non_finite_voxels(&image);
    if voxels > 0 {
        return Err(CaseError::NonFinite { voxels });
    }
    let counts = count_labels(&labels);
    let unnamed: Vec<u16> = counts
        .keys()
        .copied()
        .filter(|&label| label > foreground_labels)
        .collect();
    if !unnamed.is_empty() {
        return Err(CaseError::Labels {
            file: label_file.clone(),
            found: unnamed,
            most: foreground_labels,
        });
    }
    let (image_foreground_stats, label_stats) = measure_labels(&image, &labels, &counts);
    Ok(CaseStats {
        case: case.id.clone(),
        image_filepath: case.images.clone(),
        label_filepath: label_file.clone(),
        image_stats: measure_image(&image),
        image_foreground_stats,
        label_stats,
    })
}

/// Reads all channels: the one file with whatever it holds, or one channel from each of several files.
fn read_image(case: &Case, dataroot: &Path) -> Result<Volume, CaseError> {
    let [file] = case.images.as_slice() else {
        let mut volumes = Vec::with_capacity(case.images.len());
        for file in &case.images {
            let volume = read_volume(dataroot.join(file))?;
            let first = volumes.first().map_or(volume.geometry(), Volume::geometry);
            one_grid(case, &first, file, &volume.geometry())?;
            volumes.push(volume);
        }
        return Ok(stack(volumes));
    };
    Ok(read_channels(dataroot.join(file))?)
}

/// Joins volumes of one grid to the channels of one.
fn stack(volumes: Vec<Volume>) -> Volume {
    let affine = volumes[0].affine;
    let [x, y, z] = volumes[0].geometry().shape;
    let mut data = ndarray::Array4::zeros((volumes.len(), x, y, z));
    for (mut channel, volume) in data.outer_iter_mut().zip(volumes) {
        channel.assign(&volume.data.index_axis(Axis(0), 0));
    }
    Volume { data, affine }
}

fn one_grid(case: &Case, first: &Geometry, file: &str, found: &Geometry) -> Result<(), CaseError> {
    let names = || (file.to_owned(), case.images[0].clone());
    let Some(found_mm) = found.distance_mm(first) else {
        let (file, first_file) = names();
        let (found, expected) = (found.shape, first.shape);
        return Err(CaseError::Shape {
            file,
            found,
            first: first_file,
            expected,
        });
    };
    let allowed_mm = GRID_TOLERANCE_VOXELS
        * first
            .affine
            .spacing()
            .into_iter()
            .fold(f64::INFINITY, f64::min);
    // A distance that is NaN does not pass.
    if found_mm <= allowed_mm {
        Ok(())
    } else {
        let (file, first) = names();
        Err(CaseError::Place {
            file,
            found_mm,
            first,
            allowed_mm,
        })
    }
}

/// Turns image and label map alike, so that the voxels stay together whatever rounding their affines have.
fn to_ras(image: Volume, mut labels: LabelMap) -> Result<(Volume, LabelMap), GeometryError> {
    labels.affine = image.affine;
    let (image, _) = reorient_volume(image, Orientation::RAS)?;
    let (labels, _) = reorient_labels(labels, Orientation::RAS)?;
    Ok((image, labels))
}

fn measure_image(image: &Volume) -> CaseImageStats {
    let Geometry { shape, affine } = image.geometry();
    let spacing = affine.spacing();
    let mut cropped_shape = Vec::with_capacity(image.channels());
    let mut intensity = Vec::with_capacity(image.channels());
    for channel in image.data.outer_iter() {
        let foreground = channel_box(channel, &affine);
        let VoxelBox { start, end } = foreground;
        let inside = channel.slice(ndarray::s![
            start[0]..end[0],
            start[1]..end[1],
            start[2]..end[2]
        ]);
        cropped_shape.push(foreground.shape());
        intensity.extend(describe(&mut inside.iter().copied().collect::<Vec<_>>()));
    }
    CaseImageStats {
        shape: vec![shape; image.channels()],
        channels: image.channels(),
        cropped_shape,
        spacing,
        sizemm: std::array::from_fn(|axis| shape[axis] as f64 * spacing[axis]),
        intensity,
    }
}

/// The box of voxels above 0; the whole grid where there are none.
fn channel_box(channel: ArrayView3<'_, f32>, affine: &vesal_volume::Affine) -> VoxelBox {
    let single = Volume {
        data: channel.insert_axis(Axis(0)).to_owned(),
        affine: *affine,
    };
    foreground_box(&single, 0.0, 0).unwrap_or(VoxelBox::whole(single.geometry().shape))
}

fn count_labels(labels: &LabelMap) -> BTreeMap<u16, usize> {
    let mut counts = vec![0_usize; 1 << 16];
    labels
        .data
        .iter()
        .for_each(|&label| counts[usize::from(label)] += 1);
    let present = counts
        .into_iter()
        .enumerate()
        .filter(|&(_, count)| count > 0);
    present
        .map(|(label, count)| (label as u16, count))
        .collect()
}

fn measure_labels(
    image: &Volume,
    labels: &LabelMap,
    counts: &BTreeMap<u16, usize>,
) -> (CaseForegroundStats, CaseLabelStats) {
    let voxels = labels.data.len() as f64;
    let mut label: Vec<CaseLabel> = counts
        .values()
        .map(|&count| CaseLabel {
            foreground_percentage: count as f64 / voxels,
            image_intensity: Vec::new(),
        })
        .collect();
    let mut foreground: Vec<IntensityStats> = Vec::new();
    for channel in image.data.outer_iter() {
        let mut under: BTreeMap<u16, Vec<f32>> = counts
            .iter()
            .map(|(&label, &count)| (label, Vec::with_capacity(count)))
            .collect();
        for (value, label) in channel.iter().zip(&labels.data) {
            if let Some(values) = under.get_mut(label) {
                values.push(*value);
            }
        }
        let mut any = Vec::new();
        for (measured, (label, mut values)) in label.iter_mut().zip(under) {
            measured.image_intensity.extend(describe(&mut values));
            if label > 0 {
                any.append(&mut values);
            }
        }
        foreground.extend(describe(&mut any));
    }
    let by_label = CaseLabelStats {
        labels: counts.keys().copied().collect(),
        image_intensity: foreground.clone(),
        label,
    };
    (
        CaseForegroundStats {
            intensity: foreground,
        },
        by_label,
    )
}
