//! The command line of `vesal predict`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vesal_io::dicom::Policy;

use super::{
    ComputeArguments, DatalistPart, LimitArguments, NiftiForm, TrustArguments, parse_suffix,
};
use crate::case::ChosenSeries;

/// Arguments of `predict`.
#[derive(Debug, Args)]
#[command(after_help = "\
A scan is a NIfTI file (.nii, .nii.gz, or .hdr with .img) or a DICOM series. Of a folder, all NIfTI files in it are
taken, not those in its subfolders; a folder without any is searched for DICOM, with all that is below it. A bundle
with several channels takes folders in which each case has one file per channel, named CASE_CHANNEL.nii.gz, or DICOM
studies with one series per channel; `vesal inspect` lists a bundle's channels and a study's series.

Results lie on the grid of their scan; a series is called by its UID. A batch goes on past a case that fails.

  nifti      CASE_seg.nii.gz       Label map, or masks of regions
  seg        CASE_seg.dcm          DICOM segmentation: what viewers read
  labelmap   CASE_labelmap.dcm     The same, far smaller, and new to many viewers
  rtstruct   CASE_rtstruct.dcm     Contours
  report     CASE_report.dcm       Volumes of the segments of `seg` or `labelmap`, which it needs

Examples:
  vesal predict --bundle spleen-1.2.0 --input scan.nii.gz --output results
  vesal predict --bundle spleen-1.2.0 --input dicom/study_7 --output results --format seg,report
  vesal predict --bundle spleen-1.2.0 --input monday tuesday --output results --report results/run.json
  vesal predict --bundle spleen-1.2.0 --input scan.nii.gz --output results --device cuda:0 --json")]
pub struct PredictArguments {
    /// Folder of the bundle
    #[arg(long, value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Scans: files, folders, a DICOMDIR, or datalists (JSON)
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub input: Vec<PathBuf>,
    /// Which list of a datalist: testing, training or validation
    #[arg(
        long,
        value_enum,
        default_value = "testing",
        hide_possible_values = true
    )]
    pub list: DatalistPart,
    /// Folder that the paths of a datalist start from; by default the datalist's own
    #[arg(
        long,
        value_name = "DIR",
        env = "VESAL_DATAROOT",
        hide_env_values = true
    )]
    pub dataroot: Option<PathBuf>,
    /// Folder for the results; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// What to write: `nifti`, `seg`, `labelmap`, `rtstruct`, `report`, or several; by default `nifti` of NIfTI and `seg` of DICOM
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT,…",
        value_delimiter = ',',
        hide_possible_values = true
    )]
    pub format: Vec<OutputFormat>,
    /// Also write the probability of every class, as CASE_prob.nii.gz
    #[arg(long)]
    pub probabilities: bool,
    /// Replace results that exist already
    #[arg(long)]
    pub overwrite: bool,
    /// Mark all results: images of the scans may be missing
    #[arg(long)]
    pub mark_incomplete: bool,
    /// File with a secret of 32 bytes or more, under which UIDs of DICOM results are made
    #[arg(long, value_name = "FILE")]
    pub uid_key: Option<PathBuf>,
    /// What follows the case in the name of its label map
    #[arg(long, value_name = "TEXT", default_value = "_seg", value_parser = parse_suffix, allow_hyphen_values = true)]
    pub suffix: String,
    /// Print the record of the run as JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Write the record of the run to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// What the bundle has to be.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// Write why it failed to this file, as a code and numbers: for a node
    #[arg(long, value_name = "FILE", hide = true)]
    pub failure: Option<PathBuf>,
    /// Which affine of a NIfTI file counts where sform and qform contradict each other: `sform` or `qform`; without
    /// it, such a file is refused
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true)]
    pub nifti_form: Option<NiftiForm>,
    /// Which series, and how.
    #[command(flatten)]
    pub dicom: DicomArguments,
    /// How much at once.
    #[command(flatten)]
    pub limits: LimitArguments,
    /// Where and how to compute.
    #[command(flatten)]
    pub compute: ComputeArguments,
}

/// What `predict` writes, in the order in which it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum OutputFormat {
    /// A label map, or masks of regions
    Nifti,
    /// A DICOM segmentation with a frame of bits for each segment and plane
    Seg,
    /// A DICOM segmentation that is a label map
    Labelmap,
    /// A DICOM structure set: contours
    Rtstruct,
    /// A DICOM report of volumes
    Report,
}

impl OutputFormat {
    /// What it is called in the record of a run.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nifti => "nifti",
            Self::Seg => "seg",
            Self::Labelmap => "labelmap",
            Self::Rtstruct => "rtstruct",
            Self::Report => "report",
        }
    }
}

/// Which DICOM series are read, and how.
#[derive(Debug, Clone, Default, Args)]
pub struct DicomArguments {
    /// Whether DICOM slices that lie unevenly or are tilted are refused (`strict`), or interpolated (`resample`)
    #[arg(
        long,
        value_enum,
        value_name = "POLICY",
        default_value = "strict",
        hide_possible_values = true
    )]
    pub geometry: GeometryPolicy,
    /// DICOM series of a channel, by number, UID or description, as in `t1=4` or `t1=*T1*`
    #[arg(long, value_name = "CHANNEL=SERIES")]
    pub series: Vec<ChosenSeries>,
    /// Let the series of a case lie in different frames of reference: somebody has made sure that they are aligned
    #[arg(long)]
    pub any_frame_of_reference: bool,
    /// Rules that choose series and codes of labels (JSON), in place of the bundle's
    #[arg(long, value_name = "FILE")]
    pub dicom_rules: Option<PathBuf>,
}

/// What to do with DICOM slices that make no even, rectangular grid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum GeometryPolicy {
    /// Refuse them
    #[default]
    Strict,
    /// Resample them
    Resample,
}

impl From<GeometryPolicy> for Policy {
    fn from(policy: GeometryPolicy) -> Self {
        match policy {
            GeometryPolicy::Strict => Self::Strict,
            GeometryPolicy::Resample => Self::Resample,
        }
    }
}
