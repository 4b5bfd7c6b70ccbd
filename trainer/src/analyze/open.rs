//! The files of a case: whether they are there, and what their headers say.

use std::path::Path;

use vesal_io::image::{DataType, ImageFile, OpenOptions};
use vesal_volume::orientation::Orientation;
use vesal_volume::{Affine, Geometry};

use super::error::CaseError;
use super::findings::{Finding, FindingKind};
use crate::datalist::Case;

/// Largest distance between two grids that count as one, in voxels of the finest axis.
const GRID_TOLERANCE_VOXELS: f64 = 0.1;

/// A case whose headers are read and fit each other.
pub(super) struct OpenCase<'a> {
    pub case: &'a Case,
    pub images: Vec<ImageFile>,
    /// Images on grids of their own.
    pub further: Vec<ImageFile>,
    pub labels: Option<(&'a String, ImageFile)>,
    pub geometry: Geometry,
    pub orientation: Orientation,
}

/// Opens the files of a case and checks their headers; `labeled` tells whether it needs a label map.
pub(super) fn open<'a>(
    case: &'a Case,
    dataroot: &Path,
    labeled: bool,
) -> Result<OpenCase<'a>, CaseError> {
    let [first, ..] = case.images.as_slice() else {
        let label = case.label.clone().unwrap_or_default();
        return Err(CaseError::NoImage { label });
    };
    if labeled && case.label.is_none() {
        return Err(CaseError::NoLabel);
    }
    if let Some(file) = case
        .label
        .as_ref()
        .filter(|file| case.images.contains(file) || case.further.contains(file))
    {
        return Err(CaseError::LabelIsImage { file: file.clone() });
    }
    let (present, missing): (Vec<_>, Vec<_>) = case
        .files()
        .cloned()
        .partition(|file| dataroot.join(file).exists());
    if !missing.is_empty() {
        return Err(CaseError::Missing { missing, present });
    }
    let read = |file: &String| ImageFile::open(dataroot.join(file), OpenOptions::default());
    let images = case
        .images
        .iter()
        .map(read)
        .collect::<Result<Vec<_>, _>>()?;
    let further = case
        .further
        .iter()
        .map(read)
        .collect::<Result<Vec<_>, _>>()?;
    let labels = match &case.label {
        Some(file) => Some((file, read(file)?)),
        None => None,
    };
    let geometry = images[0].header().geometry;
    for (file, image) in case.images.iter().zip(&images).skip(1) {
        one_grid(first, &geometry, file, &image.header().geometry)?;
    }
    if let Some((file, labels)) = &labels {
        one_grid(first, &geometry, file, &labels.header().geometry)?;
    }
    let orientation = Orientation::of(&geometry.affine).map_err(|source| CaseError::Geometry {
        file: first.clone(),
        source,
    })?;
    Ok(OpenCase {
        case,
        images,
        further,
        labels,
        geometry,
        orientation,
    })
}

fn one_grid(
    first: &str,
    expected: &Geometry,
    file: &str,
    found: &Geometry,
) -> Result<(), CaseError> {
    let Some(found_mm) = found.distance_mm(expected) else {
        return Err(CaseError::Shape {
            file: file.to_owned(),
            found: found.shape,
            first: first.to_owned(),
            expected: expected.shape,
        });
    };
    let allowed_mm = GRID_TOLERANCE_VOXELS * finest(&expected.affine);
    // A distance that is NaN does not pass.
    if found_mm <= allowed_mm {
        Ok(())
    } else {
        Err(CaseError::Place {
            file: file.to_owned(),
            found_mm,
            first: first.to_owned(),
            allowed_mm,
        })
    }
}

fn finest(affine: &Affine) -> f64 {
    affine.spacing().into_iter().fold(f64::INFINITY, f64::min)
}

impl OpenCase<'_> {
    /// What is odd about the headers.
    pub fn header_warnings(&self) -> Vec<Finding> {
        let images = self.case.images.iter().chain(&self.case.further);
        let files = images.zip(self.images.iter().chain(&self.further));
        let label = self.labels.iter().map(|(file, labels)| (*file, labels));
        let mut warnings = Vec::new();
        let mut warn = |kind, file: &String, message: String| {
            warnings.push(Finding {
                files: vec![file.clone()],
                ..Finding::about(&self.case.id, kind, message)
            });
        };
        for (file, image) in files.clone().chain(label.clone()) {
            let header = image.header();
            if let Some(lacking) = header.no_orientation {
                let message = format!("`{file}` has {lacking}");
                warn(FindingKind::UnknownOrientation, file, message);
            }
            if let Some(apart) = header.forms_apart_mm {
                let message =
                    format!("sform and qform of `{file}` put voxels up to {apart:.2} mm apart");
                warn(FindingKind::SformQformDiffer, file, message);
            }
        }
        for (file, image) in files {
            let name = image.header().data_type.name();
            if matches!(
                image.header().data_type,
                DataType::U32 | DataType::I32 | DataType::U64 | DataType::I64
            ) {
                let message = format!(
                    "`{file}` stores {name}, of which intensities keep 24 bits; expected up to 16 bits or float32"
                );
                warn(FindingKind::UnusualVoxelType, file, message);
            }
        }
        for (file, image) in label {
            if let Some(scaling) = image.header().scaling {
                let message = format!(
                    "label map `{file}` has scl_slope {} and scl_inter {}, expected none",
                    scaling.slope, scaling.intercept
                );
                warn(FindingKind::UnusualVoxelType, file, message);
            }
        }
        warnings
    }
}
