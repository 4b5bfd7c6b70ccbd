//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use vesal_trainer::algorithms;
use vesal_trainer::fit::TrainDevices;

use crate::settings_help::settings_help;

/// Trains networks that segment 3-D medical images, from a task and a datalist in Auto3DSeg's format.
#[derive(Debug, Parser)]
#[command(
    name = "vesal-train",
    version,
    propagate_version = false,
    arg_required_else_help = true,
    after_help = "\
Examples:
  vesal-train auto --input task.yaml --work-dir work          Analyze, plan, train every fold, print the scores
  vesal-train auto --work-dir work                            Go on where it was stopped
  vesal-train plan --work-dir work --explain                  Tell every decision and its reason
  vesal-train plan --work-dir work --set num_epochs=100       Decide otherwise
  vesal-train fit --work-dir work --fold 0 --device cuda:0    Train one fold on a GPU
  vesal-train auto --work-dir work --device cuda:0,cuda:1     Train two folds at once, each on a GPU
  vesal-train scores --work-dir work --worst 20               Show the cases that are predicted worst
  vesal-train report --work-dir work                          Write a page to look at: work/report.html
  vesal-train auto --work-dir work --parallel-folds auto      Train folds at once where memory and cores allow

Exit codes:
  0 done    2 wrong command line    3 task, datalist or images    4 plan or run    5 device or training
  6 output  7 done, some cases were left out    130 stopped with Ctrl-C    1 a mistake in vesal-train itself"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Do everything: analyze, plan, train every fold, print the scores
    Auto(AutoArguments),
    /// Check and measure the images: write data stats
    Analyze(AnalyzeArguments),
    /// Decide how to preprocess and train: write plans
    Plan(PlanArguments),
    /// Explain the settings that decide otherwise than the rules
    Settings(SettingsArguments),
    /// Train one fold, or go on with it
    Fit(FitArguments),
    /// Show how far every fold is
    Status(StatusArguments),
    /// Show how well cases were predicted that a training did not see
    Scores(ScoresArguments),
    /// Write one HTML page to look at: data, findings, plan, training, scores, worst cases
    Report(ReportArguments),
    /// Write plans, data stats and runs into one file, to carry them to another machine
    ExportHistory(ExportHistoryArguments),
    /// Make a work directory of such a file
    ImportHistory(ImportHistoryArguments),
    /// Measure how long an optimization step takes, on random patches
    Bench(BenchArguments),
}

#[derive(Debug, Args)]
pub struct WorkArguments {
    /// Folder that all stages write to and read from
    #[arg(long, value_name = "DIR")]
    pub work_dir: PathBuf,
    /// Folder of the images, where it is not the one that the task names
    #[arg(long, value_name = "DIR", env = "VESAL_DATAROOT")]
    pub dataroot: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct SetUpArguments {
    /// Task (task.yaml); needed once, when the work directory is new
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Number of folds: to split the cases into (5), or of those in the datalist, how many to train
    #[arg(long, value_name = "K", requires = "input")]
    pub folds: Option<usize>,
}

#[derive(Debug, Args)]
#[command(after_help = settings_help())]
pub struct SettingArguments {
    /// Algorithms to plan and train, such as segresnet,segresnet2d; kept in the work directory, and left to the task or
    /// the default again with --algorithms= [default: segresnet]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub algorithms: Option<Vec<String>>,
    /// Decide something yourself, such as num_epochs=100; may be repeated; kept in the work directory, and taken
    /// back with NAME=
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub settings: Vec<String>,
    /// Memory to plan for, in GiB, kept in the work directory: more makes larger batches. `detect` finds out what
    /// --device has, as the first planning does
    #[arg(long, value_name = "GIB|detect", value_parser = memory)]
    pub device_memory: Option<MemoryArgument>,
    /// Memory that preprocessed cases may take, over all folds at once; the others are read again in every epoch
    /// [default: half of what is available]
    #[arg(long, value_name = "GIB", value_parser = ram)]
    pub max_ram: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MemoryArgument {
    /// In GiB.
    Gib(f64),
    /// The memory of the device.
    Detect,
}

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

#[derive(Debug, Args)]
#[command(after_help = "\
Writes datastats.yaml and datastats_by_case.yaml in Auto3DSeg's form, and findings.json. A case that cannot be used
(file missing or unreadable, image and label on different grids, labels without a name, ...) is reported and left out;
the exit code is then 7. What is odd but usable is reported and kept.

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
#[command(after_help = "\
Examples:
  vesal-train settings                           What can be set, with ranges and defaults
  vesal-train settings learning_rate roi_size    The same of two settings
  vesal-train settings --json                    All of it for programs")]
pub struct SettingsArguments {
    /// Settings to explain [default: all]
    #[arg(value_name = "NAME", conflicts_with = "form")]
    pub names: Vec<String>,
    /// Print one JSON object
    #[arg(long, group = "form")]
    pub json: bool,
    /// Print a JSON schema of the settings in task.yaml
    #[arg(long, group = "form")]
    pub schema: bool,
    /// Print what a search for better settings may try, as one JSON object
    #[arg(long, group = "form")]
    pub search_space: bool,
    /// Print the page docs/settings.md
    #[arg(long, group = "form")]
    pub markdown: bool,
}

#[derive(Debug, Args)]
pub struct DeviceArguments {
    /// Where to compute: cpu, cuda, cuda:N, or GPUs such as cuda:0,cuda:1 that share the patches of each step
    #[arg(
        long,
        value_name = "DEVICES",
        default_value = "cpu",
        env = "VESAL_DEVICE"
    )]
    pub device: TrainDevices,
}

#[derive(Debug, Args)]
pub struct FitArguments {
    #[command(flatten)]
    pub work: WorkArguments,
    /// Fold to hold out for validation; the others are trained on
    #[arg(long, value_name = "K")]
    pub fold: usize,
    /// Algorithms to train it by, one after the other [default: those of the work directory]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub algorithms: Option<Vec<String>>,
    #[command(flatten)]
    pub devices: DeviceArguments,
    /// Memory that preprocessed cases may take; the others are read again in every epoch [default: half of what is
    /// available]
    #[arg(long, value_name = "GIB", value_parser = ram)]
    pub max_ram: Option<f64>,
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
pub struct StatusArguments {
    /// Folder that all stages write to and read from
    #[arg(long, value_name = "DIR")]
    pub work_dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Every case is scored by the training that held it out, with its best weights so far. `all` is the mean over the cases of
all folds: the score of the ensemble of one network per fold, each case predicted by the one that did not see it.")]
pub struct ScoresArguments {
    /// Folder that all stages write to and read from
    #[arg(long, value_name = "DIR")]
    pub work_dir: PathBuf,
    /// How many of the worst cases to list
    #[arg(long, value_name = "N", default_value = "10")]
    pub worst: usize,
    /// Print one JSON object, with all cases
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The page is one file without scripts that needs no network. It shows what there is so far: data stats, findings, the plan
with its reasons, learning curves, scores of every held-out case, and the worst cases as overlays, predicted again with
the best weights. It names cases as the datalist does and shows slices of their images.

Examples:
  vesal-train report --work-dir work                                     Write work/report.html
  vesal-train report --work-dir work --worst 0 --output spleen.html      Predict nothing
  vesal-train report --work-dir work --worst 10 --device cuda:0          Predict the 10 worst cases on a GPU")]
pub struct ReportArguments {
    #[command(flatten)]
    pub work: WorkArguments,
    /// File to write, replaced if it is there [default: report.html in the work directory]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How many of the worst cases to predict again and show
    #[arg(long, value_name = "N", default_value = "3")]
    pub worst: usize,
    /// Where to predict them: cpu, cuda or cuda:N
    #[arg(
        long,
        value_name = "DEVICE",
        default_value = "cpu",
        env = "VESAL_DEVICE"
    )]
    pub device: TrainDevices,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The file holds the task, the datalist, data stats, plans, and every run with its best weights and metrics. It holds no
images, and names cases as the datalist does.

Examples:
  vesal-train export-history --work-dir work --out spleen.zip --only-trained
  vesal-train import-history spleen.zip --work-dir elsewhere --dataroot /data/spleen")]
pub struct ExportHistoryArguments {
    /// Folder that all stages write to and read from
    #[arg(long, value_name = "DIR")]
    pub work_dir: PathBuf,
    /// File to write
    #[arg(long, value_name = "FILE.zip")]
    pub out: PathBuf,
    /// Leave out runs that are not finished
    #[arg(long)]
    pub only_trained: bool,
    /// Take checkpoints along, three times as large as the weights, from which unfinished runs go on
    #[arg(long)]
    pub with_checkpoints: bool,
}

#[derive(Debug, Args)]
pub struct ImportHistoryArguments {
    /// File that `export-history` wrote
    #[arg(value_name = "FILE.zip")]
    pub archive: PathBuf,
    #[command(flatten)]
    pub work: WorkArguments,
}

#[derive(Debug, Args)]
pub struct BenchArguments {
    /// Algorithm whose network, loss and optimizer to measure
    #[arg(long, value_name = "NAME", default_value = algorithms::DEFAULT.name)]
    pub algorithm: String,
    /// Patch in voxels
    #[arg(
        long,
        value_name = "X,Y,Z",
        value_delimiter = ',',
        default_value = "96,96,96"
    )]
    pub roi: Vec<usize>,
    /// Patches per step
    #[arg(long, value_name = "N", default_value = "2")]
    pub batch: usize,
    /// Channels of the network's first level
    #[arg(long, value_name = "N", default_value = "32")]
    pub filters: usize,
    /// Residual blocks of every level
    #[arg(
        long,
        value_name = "N,N,...",
        value_delimiter = ',',
        default_value = "1,2,2,4,4"
    )]
    pub blocks: Vec<usize>,
    /// Channels of the images
    #[arg(long, value_name = "N", default_value = "1")]
    pub channels: usize,
    /// Classes, background included
    #[arg(long, value_name = "N", default_value = "3")]
    pub classes: usize,
    /// Steps to measure, after 5 that do not count
    #[arg(long, value_name = "N", default_value = "20")]
    pub steps: usize,
    #[command(flatten)]
    pub devices: DeviceArguments,
    /// Compute in mixed precision, where the device has it
    #[arg(long)]
    pub amp: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Reads a memory size in GiB; 0 is allowed.
fn ram(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(gib) if (0.0..=1e5).contains(&gib) => Ok(gib),
        _ => Err("expected a number of GiB from 0 to 100000".to_owned()),
    }
}

/// Reads a memory size in GiB, at least 0.1, or `detect`.
fn memory(text: &str) -> Result<MemoryArgument, String> {
    match text.parse() {
        Ok(gib) if (0.1..=1e5).contains(&gib) => Ok(MemoryArgument::Gib(gib)),
        _ if text == "detect" => Ok(MemoryArgument::Detect),
        _ => Err("expected a number of GiB from 0.1 to 100000, or `detect`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
