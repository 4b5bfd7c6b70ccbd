//! The command line of `vesal convert`.

use std::path::PathBuf;

use clap::Args;

use super::GeometryPolicy;
use crate::commands::convert::StructureChoice;
use crate::memory;

/// Arguments of `convert`.
#[derive(Debug, Args)]
#[command(after_help = "\
Every series becomes SERIES_UID.nii.gz; one with several phases, echoes or orientations also SERIES_UID_2.nii.gz and so
on. A series that makes no volume is told with its reason; the others are converted, and the exit code is then 7.

With --structures, a series that a structure set (RTSTRUCT) was drawn on gets SERIES_UID_label.nii.gz as well. In NAME, *
stands for any text, and upper and lower case are the same. Where structures overlap, the later of the patterns wins.

Examples:
  vesal convert --input study_7 --output images
  vesal convert --input export --output data/images --structures 'GTV*=1' '*lung*=2' --datalist data/datalist.json
  vesal convert --input tilted --output images --geometry resample --json")]
pub struct ConvertArguments {
    /// DICOM files, folders with all that is below them, or a DICOMDIR
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub input: Vec<PathBuf>,
    /// Folder for the images; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// Whether slices that lie unevenly or are tilted are refused (`strict`), or interpolated (`resample`)
    #[arg(
        long,
        value_enum,
        value_name = "POLICY",
        default_value = "strict",
        hide_possible_values = true
    )]
    pub geometry: GeometryPolicy,
    /// Structures that make a label, and its value from 1 to 255
    #[arg(long, value_name = "NAME=VALUE", num_args = 1..)]
    pub structures: Vec<StructureChoice>,
    /// Write the datalist of a training with what was converted, in or above the folder of the images
    #[arg(long, value_name = "FILE")]
    pub datalist: Option<PathBuf>,
    /// Replace files that exist already
    #[arg(long)]
    pub overwrite: bool,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Most memory of the machine that the run may take, as in 4G or 1500M; by default what is free
    #[arg(long, value_name = "SIZE", env = "VESAL_MAX_RAM", hide_env_values = true, value_parser = memory::parse_size)]
    pub max_ram: Option<u64>,
}
