//! `vesal-train fit`.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vesal_cli::stdout::print;
use vesal_cli::{Exit, Failure};
use vesal_trainer::fit::{self, FitError, FitOutcome, TrainDevices};
use vesal_trainer::run_dir::WorkDir;

use super::failure;
use super::progress::FitProgress;
use super::scores::score_table;
use crate::cli::FitArguments;

/// Trains one fold and prints its score.
pub fn run(arguments: &FitArguments) -> Result<Exit, Failure> {
    let attempt = || format!("cannot train fold {}", arguments.fold);
    let work = WorkDir::open(&arguments.work.work_dir, arguments.work.dataroot.as_deref())
        .map_err(|error| failure(error).attempting(attempt()))?;
    let stop = stop_on_interrupt()?;
    if !fit_fold(&work, arguments.fold, arguments.device.clone(), &stop)? {
        return Ok(Exit::Interrupted);
    }
    print(&score_table(&work, &[arguments.fold])?)?;
    Ok(Exit::Success)
}

/// Trains a fold; false where the user stopped it.
pub fn fit_fold(
    work: &WorkDir,
    fold: usize,
    devices: TrainDevices,
    stop: &Arc<AtomicBool>,
) -> Result<bool, Failure> {
    let attempt = format!("cannot train fold {fold}");
    let request = work
        .fit_request(fold, devices, Arc::clone(stop))
        .map_err(|error| failure(error).attempting(attempt.clone()))?;
    let mut progress = FitProgress::new(fold);
    let outcome = fit::run(&request, &mut progress);
    drop(progress);
    match outcome {
        Ok(FitOutcome::Finished { .. }) => Ok(true),
        Ok(FitOutcome::Stopped { epoch, step }) => {
            eprintln!(
                "stopped after step {step} of epoch {epoch}: the same command goes on from there"
            );
            Ok(false)
        }
        Err(error) => Err(fit_failure(error).attempting(attempt)),
    }
}

/// A flag that the first Ctrl-C raises; the second one ends the program at once.
pub fn stop_on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    let listen = ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            process::exit(Exit::Interrupted as i32);
        }
    });
    listen
        .map_err(|error| Failure::new(Exit::Bug, error).attempting("cannot listen for Ctrl-C"))?;
    Ok(stop)
}

pub(super) fn fit_failure(error: FitError) -> Failure {
    let exit = match &error {
        FitError::Case(_) | FitError::NoCases { .. } => Exit::Input,
        FitError::DeployPlan { .. }
        | FitError::TrainPlan { .. }
        | FitError::TrainPlanFormat { .. }
        | FitError::Network(_)
        | FitError::Plans { .. }
        | FitError::OtherRun { .. }
        | FitError::NoWeights { .. }
        | FitError::Record(_)
        | FitError::NotRelative { .. }
        | FitError::TensorFile(_) => Exit::Bundle,
        FitError::Shares { .. } => Exit::Usage,
        FitError::Device(_)
        | FitError::Replica { .. }
        | FitError::Diverged { .. }
        | FitError::Validate { .. }
        | FitError::Feed { .. } => Exit::Device,
        FitError::Io { .. } | FitError::Write(_) => Exit::Output,
    };
    let hint = error.hint().map(str::to_owned);
    Failure::new(exit, error).hint(hint)
}
