//! Combinations of result formats.

use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::Activation;
use vesal_cli::Exit;

use crate::options::OutputFormat;

/// Why a format cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A report without a segmentation.
    #[error("a `report` refers to the segments of a `seg` or `labelmap`, and neither is written")]
    NoSegments,
    /// A DICOM format for a scan from an image file.
    #[error("a `{}` refers to the DICOM series that it is found in, and the scan is an image file", format.name())]
    NoSource { format: OutputFormat },
    /// Regions that may overlap cannot be written as a label map.
    #[error("the bundle finds regions that may overlap, which a `labelmap` cannot hold")]
    Overlapping,
}

impl FormatError {
    /// A remedy for the user.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoSegments => "name both, as in `--format seg,report`",
            Self::NoSource { .. } => "leave `--format` out, or give `nifti`",
            Self::Overlapping => "`--format seg` holds regions that overlap",
        }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::NoSegments | Self::Overlapping => Exit::Usage,
            Self::NoSource { .. } => Exit::Input,
        }
    }
}

/// Checks that these formats can express the results of a plan.
///
/// **Errors**: a report without a segmentation, a label map of regions that may overlap.
pub(super) fn check(formats: &[OutputFormat], plan: &DeployPlan) -> Result<(), FormatError> {
    let has = |format| formats.contains(&format);
    if has(OutputFormat::Report) && !has(OutputFormat::Seg) && !has(OutputFormat::Labelmap) {
        return Err(FormatError::NoSegments);
    }
    if has(OutputFormat::Labelmap) && plan.activation == Activation::Sigmoid {
        return Err(FormatError::Overlapping);
    }
    Ok(())
}
