//! Arguments of the commands that show what is there: status, scores and report.

use std::path::PathBuf;

use clap::Args;
use vesal_trainer::fit::TrainDevices;

use super::shared::WorkArguments;

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
all folds: the score of the ensemble of one network per fold, each case predicted by the one that did not see it.

Several algorithms are compared: mean and standard deviation of the folds' Dice, Dice of each label over all cases, epochs
and hours of all folds; and of every pair the mean difference over the cases that both have scores of, with its 95 %
confidence interval (Student's t).")]
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
