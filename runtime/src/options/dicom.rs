//! Options for DICOM series and their slices.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vesal_cases::ChosenSeries;
use vesal_io::dicom::Policy;

/// Options for reading DICOM series.
#[derive(Debug, Clone, Default, Args)]
pub struct DicomOptions {
    #[command(flatten)]
    pub slices: SliceOptions,
    /// DICOM series of a channel, by number, UID or description, as in `t1=4` or `t1=*T1*`
    #[arg(long, value_name = "CHANNEL=SERIES")]
    pub series: Vec<ChosenSeries>,
    /// Accept series in different frames of reference for one case; you must make sure that they are aligned
    #[arg(long)]
    pub any_frame_of_reference: bool,
    /// Rules that choose series and codes of labels (JSON), in place of the bundle's
    #[arg(long, value_name = "FILE")]
    pub dicom_rules: Option<PathBuf>,
}

/// Options for slices of DICOM series.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct SliceOptions {
    /// Treatment of unevenly spaced or tilted DICOM slices: refuse (`strict`) or interpolate (`resample`)
    #[arg(
        long,
        value_enum,
        value_name = "POLICY",
        default_value = "strict",
        hide_possible_values = true
    )]
    pub geometry: GeometryPolicy,
}

/// Treatment of DICOM slices that are not on an even, rectangular grid.
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
