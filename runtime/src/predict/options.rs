//! Options of `vesal predict`.

use std::path::PathBuf;

use clap::Args;

use crate::options::{
    ComputeOptions, DatalistOptions, DicomOptions, LimitOptions, NameOptions, NiftiOptions,
    OutputFormat, TrustOptions,
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
    #[command(flatten)]
    pub datalist: DatalistOptions,
    /// Predict with the members that held out this fold only, and of the list `training` only its cases: none of these
    /// members trained on them
    #[arg(long, value_name = "K")]
    pub fold: Option<usize>,
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
    #[command(flatten)]
    pub names: NameOptions,
    /// Write the record of the run to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub trust: TrustOptions,
    #[command(flatten)]
    pub nifti: NiftiOptions,
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
            datalist: DatalistOptions::default(),
            fold: None,
            output: output.into(),
            format: Vec::new(),
            probabilities: false,
            overwrite: false,
            mark_incomplete: false,
            uid_key: None,
            names: NameOptions::default(),
            report: None,
            trust: TrustOptions::default(),
            nifti: NiftiOptions::default(),
            dicom: DicomOptions::default(),
            limits: LimitOptions::default(),
            compute: ComputeOptions::default(),
        }
    }
}
