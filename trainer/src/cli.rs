//! The command line.

mod bench;
mod datalist;
mod history;
mod results;
mod settings;
mod shared;
mod stages;

pub use bench::BenchArguments;
pub use datalist::DatalistArguments;
pub use history::{ExportHistoryArguments, ImportHistoryArguments};
pub use results::{ReportArguments, ScoresArguments, StatusArguments};
pub use settings::SettingsArguments;
pub use shared::{MemoryArgument, SetUpArguments, SettingArguments, WorkArguments};
pub use stages::{AnalyzeArguments, AutoArguments, FitArguments, ParallelFolds, PlanArguments};

use clap::{Parser, Subcommand};

/// Trains networks that segment 3-D medical images, from a task and a datalist in Auto3DSeg's format.
#[derive(Debug, Parser)]
#[command(
    name = "vesal-train",
    version,
    propagate_version = false,
    arg_required_else_help = true,
    after_help = "\
Examples:
  vesal-train datalist Task09_Spleen                          Make task.yaml and datalist.json of a folder
  vesal-train auto --input task.yaml --work-dir work          Analyze, plan, train every fold, print the scores
  vesal-train auto --datalist data/dataset.json --modality mri --work-dir work    The same without a task
  vesal-train auto --work-dir work                            Resume where it was stopped
  vesal-train plan --work-dir work --explain                  Print every decision and its reason
  vesal-train plan --work-dir work --set num_epochs=100       Replace a decision
  vesal-train fit --work-dir work --fold 0 --device cuda:0    Train one fold on a GPU
  vesal-train auto --work-dir work --device cuda:0,cuda:1     Train two folds at once, each on a GPU
  vesal-train scores --work-dir work --worst 20               Show the cases that are predicted worst
  vesal-train report --work-dir work                          Write a page about everything: work/report.html
  vesal-train auto --work-dir work --parallel-folds auto      Train folds at once where memory and cores allow
  vesal-train auto --input task.yaml --work-dir work --algorithms all    Train by every algorithm that suits the cases

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
    /// Make a task and a datalist of a folder of images and label maps
    Datalist(DatalistArguments),
    /// Do everything: analyze, plan, train every fold, print the scores
    Auto(AutoArguments),
    /// Check and measure the images: write data stats
    Analyze(AnalyzeArguments),
    /// Decide how to preprocess and train: write plans
    Plan(PlanArguments),
    /// Explain the settings that replace decisions of the planner
    Settings(SettingsArguments),
    /// Train one fold, or resume its training
    Fit(FitArguments),
    /// Show the progress of every fold
    Status(StatusArguments),
    /// Show the scores of held-out cases
    Scores(ScoresArguments),
    /// Write an HTML page about everything: data, findings, plan, training, scores, worst cases
    Report(ReportArguments),
    /// Write plans, data stats and runs into one file, to carry them to another machine
    ExportHistory(ExportHistoryArguments),
    /// Make a work directory from such a file
    ImportHistory(ImportHistoryArguments),
    /// Measure how long an optimization step takes, on random patches
    Bench(BenchArguments),
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
