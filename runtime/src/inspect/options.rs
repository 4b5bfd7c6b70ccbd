//! Options of `vesal inspect`.

use std::path::PathBuf;

use clap::Args;

use crate::options::NiftiOptions;

/// Options of an inspection.
#[derive(Debug, Clone, Args)]
pub struct InspectOptions {
    /// Image files, DICOM files, folders or a DICOMDIR, or bundles
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub nifti: NiftiOptions,
}
