//! `vesal-train fit`.

use std::process;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use indicatif::MultiProgress;
use vesal_bundle::work_dir::RunId;
use vesal_cli::stdout::print;
use vesal_cli::{Exit, Failure, stderr};
use vesal_trainer::algorithms;
use vesal_trainer::fit::{self, FitOutcome, FitRequest, TrainDevice, TrainDevices};
use vesal_trainer::memory;
use vesal_trainer::work_dir::{RunNames, WorkDir};

use super::failure::{failure, fit_failure};
use super::progress::FitProgress;
use super::score_table::score_table;
use crate::cli::FitArguments;

/// Trains one fold by each algorithm, and prints the scores.
pub fn run(arguments: &FitArguments) -> Result<Exit, Failure> {
    let attempt = || format!("cannot train fold {}", arguments.fold);
    let failed = |error| failure(error).attempting(attempt());
    let work = WorkDir::open(&arguments.work.work_dir, arguments.work.dataroot.as_deref())
        .map_err(failed)?;
    let algorithms = match &arguments.algorithms {
        Some(names) => algorithms::parse(names.iter().map(String::as_str))
            .map_err(|error| failed(error.into()))?,
        None => Vec::new(),
    };
    let algorithms = match algorithms.is_empty() {
        true => work.chosen().map_err(failed)?,
        false => {
            for (algorithm, reason) in work.skipped_of(&algorithms) {
                stderr::note(format!("{}: skipped, because {reason}", algorithm.name));
            }
            work.without_skipped(&algorithms).map_err(failed)?
        }
    };
    let runs = work.runs_of(&algorithms, &[arguments.fold]);
    let trainings = Trainings::new(&work, &runs, max_ram_bytes(arguments.max_ram), 1)?;
    trainings.check(&runs)?;
    for run in &runs {
        if !trainings.fit(run, arguments.devices.device.clone())? {
            return Ok(Exit::Interrupted);
        }
    }
    print(&score_table(&work, &runs)?)?;
    Ok(Exit::Success)
}

/// Trainings of one work directory, successive or concurrent.
#[derive(Debug)]
pub struct Trainings<'a> {
    work: &'a WorkDir,
    names: RunNames,
    max_ram_bytes: Option<u64>,
    at_once: u64,
    stop: Arc<AtomicBool>,
    bars: MultiProgress,
}

impl<'a> Trainings<'a> {
    /// Prepares trainings of `runs`, which Ctrl-C stops. Up to `at_once` concurrent trainings share `max_ram_bytes` of
    /// memory for preprocessed cases; `None` stands for the default.
    pub fn new(
        work: &'a WorkDir,
        runs: &[RunId],
        max_ram_bytes: Option<u64>,
        at_once: usize,
    ) -> Result<Self, Failure> {
        Ok(Self {
            work,
            names: RunNames::among(runs),
            max_ram_bytes: max_ram_bytes.or_else(memory::cases_budget),
            at_once: at_once.max(1) as u64,
            stop: stop_on_interrupt()?,
            bars: MultiProgress::new(),
        })
    }

    /// Checks that every run can be started or resumed.
    pub fn check(&self, runs: &[RunId]) -> Result<(), Failure> {
        for run in runs {
            let request = self.request(run, TrainDevice::Cpu.into())?;
            fit::check(&request)
                .map_err(|error| fit_failure(error).attempting(self.attempt(run)))?;
        }
        Ok(())
    }

    fn attempt(&self, run: &RunId) -> String {
        format!("cannot train {}", self.names.phrase(run))
    }

    fn request(&self, run: &RunId, devices: TrainDevices) -> Result<FitRequest, Failure> {
        let stop = Arc::clone(&self.stop);
        let request = self.work.fit_request(run, devices, stop);
        request.map_err(|error| failure(error).attempting(self.attempt(run)))
    }

    /// Trains a run. Returns false where it was stopped.
    pub fn fit(&self, run: &RunId, devices: TrainDevices) -> Result<bool, Failure> {
        let name = self.names.phrase(run);
        let mut request = self.request(run, devices)?;
        request.max_ram_bytes = self.max_ram_bytes.map(|bytes| bytes / self.at_once);
        let mut progress = FitProgress::new(name.clone(), self.bars.clone());
        let outcome = fit::run(&request, &mut progress);
        drop(progress);
        match outcome {
            Ok(FitOutcome::Finished { .. }) => Ok(true),
            Ok(FitOutcome::Stopped { epoch, step }) => {
                self.bars.suspend(|| {
                    stderr::say(format!(
                        "{name} stopped after step {step} of epoch {epoch}: the same command goes on from there"
                    ));
                });
                Ok(false)
            }
            Err(error) => Err(fit_failure(error).attempting(self.attempt(run))),
        }
    }

    /// Trains the runs, one at a time in each slot, on the device of the slot. Returns false where they were stopped.
    ///
    /// The first failure stops the others after a checkpoint.
    pub fn fit_all(&self, runs: &[RunId], slots: &[TrainDevice]) -> Result<bool, Failure> {
        let (next, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let failure = Mutex::new(None);
        let fit_in_turn = |device: TrainDevice| {
            let _stop = StopOnPanic(&self.stop);
            while !self.stop.load(Ordering::Relaxed)
                && let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed))
            {
                match self.fit(run, device.into()) {
                    Ok(true) => {
                        finished.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(false) => return,
                    Err(error) => {
                        let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        first.get_or_insert(error);
                        self.stop.store(true, Ordering::Relaxed);
                    }
                }
            }
        };
        thread::scope(|scope| {
            for &device in slots {
                let fit_in_turn = &fit_in_turn;
                scope.spawn(move || fit_in_turn(device));
            }
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure),
            None => Ok(finished.into_inner() == runs.len()),
        }
    }
}

/// Converts GiB to bytes.
pub fn max_ram_bytes(gib: Option<f64>) -> Option<u64> {
    gib.map(|gib| (gib * (1u64 << 30) as f64) as u64)
}

/// Stops all trainings when one of them panics.
struct StopOnPanic<'a>(&'a AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// A flag that is set by the first Ctrl-C; the second one ends the program immediately.
fn stop_on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
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
