//! Options of `vesal predict`.

use std::path::PathBuf;

use clap::Args;

use crate::options::{
    ComputeOptions, DatalistPart, DicomOptions, LimitOptions, NiftiForm, OutputFormat, SUFFIX,
    TrustOptions, parse_suffix,
};

/// Options of a prediction.
#[derive(Debug, Clone, Args)]
pub struct PredictOptions {
    /// Folder of the bundle
    #[arg(long, value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Scans: files, folders, a DICOMDIR, or datalists (JSON)
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub input: Vec<PathBuf>,
    /// List of a datalist to read: testing, training or validation
    #[arg(
        long,
        value_enum,
        default_value = "testing",
        hide_possible_values = true
    )]
    pub list: DatalistPart,
    /// Folder that paths in a datalist are relative to; by default the datalist's own
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
    /// Formats of results: `nifti`, `seg`, `labelmap`, `rtstruct`, `report`; by default `nifti` for image files and `seg` for DICOM
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
    /// Mark all results as possibly incomplete, because images of the scans may be missing
    #[arg(long)]
    pub mark_incomplete: bool,
    /// File with a secret of at least 32 bytes, from which UIDs of DICOM results are derived
    #[arg(long, value_name = "FILE")]
    pub uid_key: Option<PathBuf>,
    /// Text after the name of the case in the file name of its label map
    #[arg(long, value_name = "TEXT", default_value = SUFFIX, value_parser = parse_suffix, allow_hyphen_values = true)]
    pub suffix: String,
    /// Write the record of the run to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub trust: TrustOptions,
    /// Affine to use where sform and qform of a NIfTI file contradict each other: `sform` or `qform`; by default such a
    /// file is refused
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true)]
    pub nifti_form: Option<NiftiForm>,
    #[command(flatten)]
    pub dicom: DicomOptions,
    #[command(flatten)]
    pub limits: LimitOptions,
    #[command(flatten)]
    pub compute: ComputeOptions,
}

impl PredictOptions {
    /// Segments scans with a bundle and writes the results into a folder; other options have the defaults of the
    /// command line.
    pub fn new(
        bundle: impl Into<PathBuf>,
        input: impl IntoIterator<Item = impl Into<PathBuf>>,
        output: impl Into<PathBuf>,
    ) -> Self {
        Self {
            bundle: bundle.into(),
            input: input.into_iter().map(Into::into).collect(),
            list: DatalistPart::Testing,
            dataroot: None,
            output: output.into(),
            format: Vec::new(),
            probabilities: false,
            overwrite: false,
            mark_incomplete: false,
            uid_key: None,
            suffix: SUFFIX.to_owned(),
            report: None,
            trust: TrustOptions::default(),
            nifti_form: None,
            dicom: DicomOptions::default(),
            limits: LimitOptions::default(),
            compute: ComputeOptions::default(),
        }
    }
}
