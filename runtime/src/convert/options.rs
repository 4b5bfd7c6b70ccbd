//! Options of `vesal convert`.

use std::path::PathBuf;

use clap::Args;

use super::choice::StructureChoice;
use crate::options::{MemoryOptions, SliceOptions};

/// Options of a conversion.
#[derive(Debug, Clone, Args)]
pub struct ConvertOptions {
    /// DICOM files, folders with all that is below them, or a DICOMDIR
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub input: Vec<PathBuf>,
    /// Folder for the images; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    #[command(flatten)]
    pub slices: SliceOptions,
    /// Structures that are converted to a label, and the label's value from 1 to 255
    #[arg(long, value_name = "NAME=VALUE", num_args = 1..)]
    pub structures: Vec<StructureChoice>,
    /// Write a datalist of what was converted, for training; the file must lie in or above the output folder
    #[arg(long, value_name = "FILE")]
    pub datalist: Option<PathBuf>,
    /// Replace files that exist already
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub memory: MemoryOptions,
}
