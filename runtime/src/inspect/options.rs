//! Options of `vesal inspect`.

use std::path::PathBuf;

use clap::Args;

use crate::options::NiftiForm;

/// Options of an inspection.
#[derive(Debug, Clone, Args)]
pub struct InspectOptions {
    /// Image files, DICOM files, folders or a DICOMDIR, or bundles
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Affine to use where sform and qform of a NIfTI file contradict each other: `sform` or `qform`; by default such a
    /// file is refused
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true)]
    pub nifti_form: Option<NiftiForm>,
}
