//! Arguments of exporting and importing a history.

use std::path::PathBuf;

use clap::Args;

use super::shared::WorkArguments;

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
