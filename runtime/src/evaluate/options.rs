//! Options of `vesal evaluate`.

use std::path::PathBuf;

use clap::Args;

use crate::options::{DatalistOptions, NameOptions, NiftiOptions};

/// Options of an evaluation.
#[derive(Debug, Clone, Args)]
pub struct EvaluateOptions {
    /// True label maps: a folder of them, or a datalist (JSON) whose cases have labels
    #[arg(long, value_name = "PATH")]
    pub truth: PathBuf,
    /// Folder of the predictions
    #[arg(long, value_name = "DIR")]
    pub prediction: PathBuf,
    #[command(flatten)]
    pub names: NameOptions,
    /// Bundle that defines the labels and their names; without it, every value in the label maps is compared
    #[arg(long, value_name = "BUNDLE")]
    pub bundle: Option<PathBuf>,
    #[command(flatten)]
    pub datalist: DatalistOptions,
    /// Tolerance of surface Dice: distance up to which surfaces count as the same, in mm
    #[arg(long, value_name = "MM", default_value = "1", value_parser = parse_tolerance)]
    pub tolerance_mm: f64,
    #[command(flatten)]
    pub nifti: NiftiOptions,
}

fn parse_tolerance(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(mm) if mm.is_finite() && mm >= 0.0 => Ok(mm),
        _ => Err("expected a distance of at least 0 mm"),
    }
}
