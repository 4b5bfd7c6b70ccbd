//! Options of `vesal bench`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use crate::options::{ComputeOptions, DicomOptions, LimitOptions, NiftiOptions};

#[derive(Debug, Clone, Args)]
pub struct BenchOptions {
    /// Folder of the bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Scans: files or folders, as `predict` takes them
    #[arg(value_name = "INPUT", required = true)]
    pub input: Vec<PathBuf>,
    /// Number of rounds in which every scan is segmented once networks are loaded
    #[arg(long, value_name = "N", default_value = "10")]
    pub rounds: NonZeroUsize,
    /// Write the JSON to this file as well; an existing file is replaced
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub nifti: NiftiOptions,
    #[command(flatten)]
    pub dicom: DicomOptions,
    #[command(flatten)]
    pub limits: LimitOptions,
    #[command(flatten)]
    pub compute: ComputeOptions,
}
