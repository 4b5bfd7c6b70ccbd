//! Options of `vesal tune`.

use std::path::PathBuf;

use clap::Args;
use vesal_engine::Device;

use crate::options::{LibraryOptions, NiftiOptions};

/// Options of tuning.
#[derive(Debug, Clone, Args)]
pub struct TuneOptions {
    /// Folder of the bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Measure with this scan, all of it, instead of a few synthetic windows: a file, or the folder of one case
    #[arg(long, value_name = "SCAN")]
    pub input: Option<PathBuf>,
    #[command(flatten)]
    pub nifti: NiftiOptions,
    /// Where networks run: `cpu`, `cuda`, `cuda:N`, or `auto`, which tries the processor and the first GPU
    #[arg(
        long,
        value_name = "DEVICE",
        env = "VESAL_DEVICE",
        default_value = "auto",
        hide_env_values = true
    )]
    pub device: Device,
    #[command(flatten)]
    pub library: LibraryOptions,
}
