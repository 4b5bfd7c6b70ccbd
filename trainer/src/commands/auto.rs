//! `vesal-train auto`.

use std::thread::available_parallelism;

use vesal_cli::stdout::print;
use vesal_cli::{Exit, Failure, stderr};
use vesal_trainer::algorithms::Algorithm;
use vesal_trainer::fit::TrainDevice;
use vesal_trainer::memory;
use vesal_trainer::work_dir::{Made, PlanOutcome, Planning, WorkDir, WorkError};

use super::failure::failure;
use super::fit::{Trainings, max_ram_bytes};
use super::score_table::score_table;
use super::{analyze_cases, decide_memory, exit, prepare};
use crate::cli::{AutoArguments, ParallelFolds};

/// Performs all stages that are not yet done, and prints the scores.
pub fn run(arguments: &AutoArguments) -> Result<Exit, Failure> {
    let mut work = prepare(
        &arguments.work,
        Some(&arguments.set_up),
        Some(&arguments.settings),
    )?;
    let folds = match arguments.only_folds.as_slice() {
        [] => work.folds().to_vec(),
        chosen => chosen.to_vec(),
    };
    if let Some(&found) = folds.iter().find(|fold| !work.folds().contains(fold)) {
        return Err(failure(WorkError::NoSuchFold {
            found,
            folds: work.folds().to_vec(),
        }));
    }
    decide_memory(
        &mut work,
        arguments.settings.device_memory,
        &arguments.device,
        false,
    )?;
    let excluded = analyze_cases(&mut work)?;
    let plannings = work
        .plan(false)
        .map_err(|error| failure(error).attempting("cannot plan"))?;
    tell(&plannings);
    let algorithms = work.chosen().map_err(failure)?;
    let runs = work.runs_of(&algorithms, &folds);
    let slots = slots(&work, arguments, &algorithms, runs.len())?;
    let max_ram = max_ram_bytes(arguments.settings.max_ram);
    let trainings = Trainings::new(&work, &runs, max_ram, slots.len())?;
    trainings.check(&runs)?;
    if !trainings.fit_all(&runs, &slots)? {
        return Ok(Exit::Interrupted);
    }
    print(&score_table(&work, &runs)?)?;
    Ok(exit(&excluded))
}

/// Reports what was planned, and which algorithms were skipped.
fn tell(plannings: &[Planning]) {
    for Planning { algorithm, outcome } in plannings {
        let name = match plannings {
            [_] => String::new(),
            _ => format!("{}: ", algorithm.name),
        };
        let (made, plan) = match outcome {
            PlanOutcome::Planned { made, plans } => (made, &plans.train),
            PlanOutcome::Skipped { reason } => {
                stderr::note(format!("{name}skipped, because {reason}"));
                continue;
            }
        };
        let state = match made {
            Made::Now => "planned",
            Made::Before => "planned before",
        };
        stderr::say(format!(
            "{name}{state}: patches of {:?} voxels, {} epochs; `vesal-train plan --explain` tells why",
            plan.roi_size, plan.num_epochs
        ));
    }
}

/// Cores per fold with `--parallel-folds auto`.
const CORES: usize = 4;

/// The device of each concurrent training: all devices in turn, each as often as it trains folds concurrently.
fn slots(
    work: &WorkDir,
    arguments: &AutoArguments,
    algorithms: &[&Algorithm],
    runs: usize,
) -> Result<Vec<TrainDevice>, Failure> {
    let devices = arguments.device.all();
    let each = match arguments.parallel_folds {
        ParallelFolds::Count(count) => count.get(),
        // A plan is sized so that one training fills the memory of a GPU.
        ParallelFolds::Auto if devices != [TrainDevice::Cpu] => 1,
        ParallelFolds::Auto => {
            let budget = max_ram_bytes(arguments.settings.max_ram).or_else(memory::cases_budget);
            let mut fold_bytes = 1;
            for algorithm in algorithms {
                fold_bytes = fold_bytes.max(work.fold_bytes(algorithm).map_err(failure)?);
            }
            let fit = budget.map_or(runs, |bytes| (bytes / fold_bytes) as usize);
            let cores = available_parallelism().map_or(1, |cores| cores.get());
            fit.min(cores / CORES)
        }
    };
    let slots = (each.max(1) * devices.len()).min(runs).max(1);
    if slots > devices.len() {
        stderr::say(format!("{slots} folds at once"));
    }
    Ok(devices.iter().copied().cycle().take(slots).collect())
}
