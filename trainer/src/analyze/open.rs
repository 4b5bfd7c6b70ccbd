//! The files of a case: existence and headers.

use std::path::Path;

use vesal_cases::datalist::Case;
use vesal_cases::{CaseFiles, OpenCase};
use vesal_io::image::{DataType, ImageFile, OpenOptions};
use vesal_volume::Geometry;
use vesal_volume::orientation::Orientation;

use super::error::CaseAnalysisError;
use super::findings::{Finding, FindingKind};

/// A case whose headers are read and consistent.
pub(super) struct CaseToMeasure<'a> {
    pub case: &'a Case,
    pub images: Vec<ImageFile>,
    /// Secondary images, on grids of their own.
    pub further: Vec<ImageFile>,
    pub labels: Option<(&'a String, ImageFile)>,
    pub geometry: Geometry,
    pub orientation: Orientation,
}

/// Opens the files of a case and checks their headers; `labeled` tells whether a label map is required.
pub(super) fn open<'a>(
    case: &'a Case,
    dataroot: &Path,
    labeled: bool,
) -> Result<CaseToMeasure<'a>, CaseAnalysisError> {
    let [first, ..] = case.images.as_slice() else {
        let label = case.label.clone().unwrap_or_default();
        return Err(CaseAnalysisError::NoImage { label });
    };
    if labeled && case.label.is_none() {
        return Err(CaseAnalysisError::NoLabel);
    }
    if let Some(file) = case
        .label
        .as_ref()
        .filter(|file| case.images.contains(file) || case.further.contains(file))
    {
        return Err(CaseAnalysisError::LabelIsImage { file: file.clone() });
    }
    let (present, missing): (Vec<_>, Vec<_>) = case
        .files()
        .cloned()
        .partition(|file| dataroot.join(file).exists());
    if !missing.is_empty() {
        return Err(CaseAnalysisError::Missing { missing, present });
    }
    let located =
        |files: &[String]| -> Vec<_> { files.iter().map(|file| dataroot.join(file)).collect() };
    let label = case.label.as_ref().map(|file| dataroot.join(file));
    let files = CaseFiles {
        images: &located(&case.images),
        further: &located(&case.further),
        label: label.as_deref(),
    };
    let OpenCase {
        images,
        further,
        label,
    } = files
        .open(OpenOptions::default())
        .map_err(|error| CaseAnalysisError::of(error, dataroot))?;
    let geometry = images[0].header().geometry;
    let orientation =
        Orientation::of(&geometry.affine).map_err(|source| CaseAnalysisError::Geometry {
            file: first.clone(),
            source,
        })?;
    Ok(CaseToMeasure {
        case,
        images,
        further,
        labels: case.label.as_ref().zip(label),
        geometry,
        orientation,
    })
}

impl CaseToMeasure<'_> {
    /// Warnings about the headers.
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
