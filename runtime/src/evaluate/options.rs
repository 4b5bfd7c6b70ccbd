//! Options of `vesal evaluate`.

use std::path::PathBuf;

use clap::Args;

use crate::options::{DatalistPart, NiftiForm, SUFFIX, parse_suffix};

/// Options of an evaluation.
#[derive(Debug, Clone, Args)]
pub struct EvaluateOptions {
    /// True label maps: a folder of them, or a datalist (JSON) whose cases have labels
    #[arg(long, value_name = "PATH")]
    pub truth: PathBuf,
    /// Folder of the predictions
    #[arg(long, value_name = "DIR")]
    pub prediction: PathBuf,
    /// Text after the name of the case in the file name of its prediction
    #[arg(long, value_name = "TEXT", default_value = SUFFIX, value_parser = parse_suffix, allow_hyphen_values = true)]
    pub suffix: String,
    /// Bundle that defines the labels and their names; without it, every value in the label maps is compared
    #[arg(long, value_name = "BUNDLE")]
    pub bundle: Option<PathBuf>,
    /// List of a datalist to read: testing, training or validation
    #[arg(
        long,
        value_name = "LIST",
        hide_possible_values = true,
        default_value = "testing"
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
    /// Tolerance of surface Dice: distance up to which surfaces count as the same, in mm
    #[arg(long, value_name = "MM", default_value = "1", value_parser = parse_tolerance)]
    pub tolerance_mm: f64,
    /// Affine to use where sform and qform of a NIfTI file contradict each other: `sform` or `qform`; by default such a
    /// file is refused
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true)]
    pub nifti_form: Option<NiftiForm>,
}

fn parse_tolerance(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(mm) if mm.is_finite() && mm >= 0.0 => Ok(mm),
        _ => Err("expected a distance of at least 0 mm"),
    }
}
