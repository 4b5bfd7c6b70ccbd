//! Arguments of the stages: analysis, planning, training, and all of them.

use std::num::NonZeroUsize;
use std::str::FromStr;

use clap::Args;
use vesal_trainer::fit::TrainDevices;

use super::shared::{DeviceArguments, SetUpArguments, SettingArguments, WorkArguments, ram};

#[derive(Debug, Args)]
pub struct AutoArguments {
    #[command(flatten)]
    pub set_up: SetUpArguments,
    #[command(flatten)]
    pub work: WorkArguments,
    #[command(flatten)]
    pub settings: SettingArguments,
    /// Train these folds only, such as 0,1
    #[arg(long, value_name = "FOLDS", value_delimiter = ',')]
    pub only_folds: Vec<usize>,
    /// Folds to train at once on each device: a number, or auto for as many as memory and cores allow
    #[arg(long, value_name = "N|auto", default_value = "1")]
    pub parallel_folds: ParallelFolds,
    /// Where to compute: cpu, cuda, cuda:N, or GPUs such as cuda:0,cuda:1 that each train a fold at a time
    #[arg(
        long,
        value_name = "DEVICES",
        default_value = "cpu",
        env = "VESAL_DEVICE"
    )]
    pub device: TrainDevices,
}

/// How many folds to train at once on each device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParallelFolds {
    /// As many as memory and cores allow.
    Auto,
    Count(NonZeroUsize),
}

impl FromStr for ParallelFolds {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(count) => Ok(Self::Count(count)),
            Err(_) if text == "auto" => Ok(Self::Auto),
            Err(_) => Err("expected a number of at least 1, or `auto`"),
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Writes datastats.yaml and datastats_by_case.yaml in Auto3DSeg's form, and findings.json. A case that cannot be used
(file missing or unreadable, image and label on different grids, labels without a name, ...) is reported and left out;
the exit code is then 7. Odd but usable cases are reported and kept.

Examples:
  vesal-train analyze --input task.yaml --work-dir work                    Check and measure a dataset
  vesal-train analyze --input task.yaml --work-dir work --strict           Fail on any finding, as in a pipeline
  vesal-train analyze --work-dir work --components                         Count connected components of each label
  vesal-train analyze --work-dir work --histogram-bins 100 --histogram-range=-1000,1000")]
pub struct AnalyzeArguments {
    #[command(flatten)]
    pub set_up: SetUpArguments,
    #[command(flatten)]
    pub work: WorkArguments,
    /// Exit with 3 if anything was found, warnings included
    #[arg(long)]
    pub strict: bool,
    /// Measure the connected components of each label: number and bounding boxes
    #[arg(long)]
    pub components: bool,
    /// Write histograms of all voxels with this many bins
    #[arg(long, value_name = "N")]
    pub histogram_bins: Option<usize>,
    /// Lower and upper end of the histograms, or such a pair for each channel
    #[arg(
        long,
        value_name = "LO,HI",
        value_delimiter = ',',
        allow_hyphen_values = true,
        default_value = "-500,500",
        requires = "histogram_bins"
    )]
    pub histogram_range: Vec<f64>,
}

#[derive(Debug, Args)]
pub struct PlanArguments {
    #[command(flatten)]
    pub work: WorkArguments,
    #[command(flatten)]
    pub settings: SettingArguments,
    /// Where the folds will be trained: its memory is planned for, unless memory was set or detected before
    #[arg(
        long,
        value_name = "DEVICES",
        default_value = "cpu",
        env = "VESAL_DEVICE"
    )]
    pub device: TrainDevices,
    /// Print every decision, its rule, and the facts that it was applied to
    #[arg(long)]
    pub explain: bool,
    /// Print the decisions as one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct FitArguments {
    #[command(flatten)]
    pub work: WorkArguments,
    /// Fold to hold out for validation; the others are trained on
    #[arg(long, value_name = "K")]
    pub fold: usize,
    /// Algorithms to train it by, one after the other, or all [default: those of the work directory]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub algorithms: Option<Vec<String>>,
    #[command(flatten)]
    pub devices: DeviceArguments,
    /// Memory that preprocessed cases may take; the others are read again in every epoch [default: half of what is
    /// available]
    #[arg(long, value_name = "GIB", value_parser = ram)]
    pub max_ram: Option<f64>,
}
