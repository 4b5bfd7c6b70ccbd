//! Arguments that several commands share.

use std::path::PathBuf;

use clap::Args;
use vesal_bundle::deploy_plan::Modality;
use vesal_trainer::fit::TrainDevices;
use vesal_trainer::task;

use crate::settings_help::settings_help;

#[derive(Debug, Args)]
pub struct WorkArguments {
    /// Folder that all stages write to and read from
    #[arg(long, value_name = "DIR")]
    pub work_dir: PathBuf,
    /// Folder of the images, if it is not the one that the task names
    #[arg(long, value_name = "DIR", env = "VESAL_DATAROOT")]
    pub dataroot: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct SetUpArguments {
    #[command(flatten)]
    pub task: TaskArguments,
    /// Modality, if the task or the datalist does not name it: ct, mri or pet
    #[arg(long, value_name = "NAME", value_parser = modality, requires = "TaskArguments")]
    pub modality: Option<Modality>,
    /// Number of folds: to split the cases into (5), or of those in the datalist, how many to train
    #[arg(long, value_name = "K", requires = "TaskArguments")]
    pub folds: Option<usize>,
}

/// What a work directory is set up with.
#[derive(Debug, Args)]
pub struct TaskArguments {
    /// Task (task.yaml); needed once, when the work directory is new, unless --datalist tells everything
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Datalist, instead of the one that the task names; or without a task
    #[arg(long, value_name = "FILE")]
    pub datalist: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = settings_help())]
pub struct SettingArguments {
    /// Algorithms to plan and train, such as segresnet,swinunetr, or all; kept in the work directory, and left to the
    /// task or the default again with --algorithms= [default: segresnet]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub algorithms: Option<Vec<String>>,
    /// Replace a decision of the planner, such as num_epochs=100; may be repeated; kept in the work directory, and
    /// removed with NAME=
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

/// Reads a modality as tasks write it.
fn modality(text: &str) -> Result<Modality, &'static str> {
    task::modality_named(text).ok_or("expected ct, mri or pet")
}

/// Reads a memory size in GiB; 0 is allowed.
pub(super) fn ram(text: &str) -> Result<f64, String> {
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
