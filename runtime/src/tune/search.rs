//! The order in which settings are tried: one parameter after the other, each from the best settings so far.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Serialize;
use vesal_engine::verify::largest;
use vesal_engine::{ConvolutionSearch, Device, InferencePrecision, Provider, Trial};

use crate::profile::ExecutionSettings;

/// Most windows at once that are tried.
const MAX_BATCH: usize = 8;
/// Later settings must take at most this share of the best time; smaller gains are noise.
const GAIN: f64 = 0.98;

/// Where the search begins.
#[derive(Debug)]
pub(super) struct Space {
    /// Devices with execution providers.
    pub starts: Vec<(Device, Provider)>,
    pub cores: NonZeroUsize,
}

/// Times of predictions on this machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialMeasurement {
    /// Execution of the networks: provider, precision, and parts computed outside of ONNX Runtime.
    pub execution: String,
    /// Windows per call.
    pub batch: usize,
    /// Milliseconds per window and member: prediction, stitching and labels.
    pub window_ms: f64,
    /// Milliseconds for opening the networks.
    pub load_ms: f64,
    /// Milliseconds of the first case, in which the device may still choose how to compute.
    pub first_ms: f64,
    /// Largest difference of the probe's logits.
    pub logit_difference: f64,
    /// Tolerance of the probe.
    pub max_logit_difference: f64,
    /// Fraction of the probe's labels that are identical.
    pub identical_labels: f64,
    /// Fraction that the probe requires.
    pub min_identical_labels: f64,
    /// Whether the probe passes.
    pub passed: bool,
}

impl TrialMeasurement {
    /// The measurements of a trial.
    pub fn new(trial: &Trial) -> Self {
        let ms = |time: Duration| 1000.0 * time.as_secs_f64();
        let report = &trial.report;
        let differences = report.logit_differences.iter().copied();
        Self {
            execution: trial.execution.clone(),
            batch: trial.batch,
            window_ms: trial.window_time().map_or(f64::INFINITY, ms),
            load_ms: ms(trial.load),
            first_ms: ms(trial.first),
            logit_difference: largest(differences),
            max_logit_difference: report.tolerance.max_logit_difference,
            identical_labels: report.identical_labels,
            min_identical_labels: report.tolerance.min_identical_labels,
            passed: report.passed(),
        }
    }
}

/// Outcome of settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempt {
    Measured(TrialMeasurement),
    /// They did not run, with the reason.
    Refused(String),
}

/// Tried settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    pub settings: ExecutionSettings,
    pub attempt: Attempt,
}

impl Tried {
    /// The settings, with the batch stated even where it is the default, and their milliseconds per window; none if
    /// they did not run or the probe did not pass.
    pub fn usable(&self) -> Option<(ExecutionSettings, f64)> {
        match &self.attempt {
            Attempt::Measured(measured) if measured.passed => {
                let settings = ExecutionSettings {
                    batch: NonZeroUsize::new(measured.batch),
                    ..self.settings
                };
                Some((settings, measured.window_ms))
            }
            _ => None,
        }
    }
}

/// Tries provider, precision, convolution search, threads and windows at once, and returns all trials and the best one.
///
/// **Errors**: those of `measure`; settings that do not run are not an error.
pub(super) fn explore<E>(
    space: &Space,
    measure: &mut dyn FnMut(&ExecutionSettings) -> Result<Attempt, E>,
) -> Result<(Vec<Tried>, Option<usize>), E> {
    let mut search = Search {
        measure,
        tried: Vec::new(),
        best: None,
    };
    for &(device, provider) in &space.starts {
        search.attempt(ExecutionSettings {
            device,
            provider,
            precision: InferencePrecision::Float32,
            search: ConvolutionSearch::Heuristic,
            threads: None,
            batch: None,
        })?;
    }
    let Some((start, _)) = search.best() else {
        return Ok((search.tried, None));
    };
    let on_gpu = matches!(start.device, Device::Cuda(_));
    let native = start.provider == Provider::Native;
    // ONNX Runtime's own kernels for processors gain nothing from 16 bits.
    if on_gpu || !native {
        search.refine(|best| best.precision = InferencePrecision::Float16)?;
    }
    if on_gpu && native {
        search.refine(|best| best.search = ConvolutionSearch::Exhaustive)?;
    }
    if !on_gpu {
        let mut threads = NonZeroUsize::new(space.cores.get() / 2);
        while threads.is_some() && search.refine(|best| best.threads = threads)? {
            threads = threads.and_then(|threads| NonZeroUsize::new(threads.get() / 2));
        }
    }
    let default = search.best().and_then(|(settings, _)| settings.batch);
    let default = default.map_or(1, NonZeroUsize::get);
    let larger = search.follow(default, |batch| (batch < MAX_BATCH).then_some(batch * 2))?;
    if !larger {
        search.follow(default, |batch| (batch > 1).then_some(batch / 2))?;
    }
    Ok((search.tried, search.best))
}

struct Search<'a, E> {
    measure: &'a mut dyn FnMut(&ExecutionSettings) -> Result<Attempt, E>,
    tried: Vec<Tried>,
    best: Option<usize>,
}

impl<E> Search<'_, E> {
    fn best(&self) -> Option<(ExecutionSettings, f64)> {
        self.tried[self.best?].usable()
    }

    /// Tries settings; returns whether they are the best so far. The previous best ones are then measured again,
    /// because other work on the machine may have slowed them down.
    fn attempt(&mut self, settings: ExecutionSettings) -> Result<bool, E> {
        let attempt = (self.measure)(&settings)?;
        let tried = Tried { settings, attempt };
        let mut better = self.is_better(&tried);
        if let (true, Some(best)) = (better, self.best) {
            let again = (self.measure)(&self.tried[best].settings)?;
            if let (Attempt::Measured(before), Attempt::Measured(again)) =
                (&mut self.tried[best].attempt, again)
            {
                before.window_ms = before.window_ms.min(again.window_ms);
            }
            better = self.is_better(&tried);
        }
        if better {
            self.best = Some(self.tried.len());
        }
        self.tried.push(tried);
        Ok(better)
    }

    fn is_better(&self, tried: &Tried) -> bool {
        let before = self.best().map_or(f64::INFINITY, |(_, ms)| ms);
        tried.usable().is_some_and(|(_, ms)| ms < before * GAIN)
    }

    /// Tries the best settings with a change.
    fn refine(&mut self, change: impl FnOnce(&mut ExecutionSettings)) -> Result<bool, E> {
        let Some(best) = self.best else {
            return Ok(false);
        };
        let mut settings = self.tried[best].settings;
        change(&mut settings);
        self.attempt(settings)
    }

    /// Tries one batch after the other while that is faster; returns whether any was.
    fn follow(&mut self, from: usize, next: impl Fn(usize) -> Option<usize>) -> Result<bool, E> {
        let mut at = from;
        while let Some(batch) = next(at) {
            if !self.refine(|best| best.batch = NonZeroUsize::new(batch))? {
                break;
            }
            at = batch;
        }
        Ok(at != from)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    const ALL: [(Device, Provider); 4] = [
        (Device::Cuda(0), Provider::Native),
        (Device::Cuda(0), Provider::TensorRtRtx),
        (Device::Cpu, Provider::Native),
        (Device::Cpu, Provider::OpenVino),
    ];

    /// Explores a synthetic machine of 8 cores: milliseconds per window and whether the probe passes, none if settings
    /// do not run.
    fn explored(
        starts: &[(Device, Provider)],
        time: impl Fn(&ExecutionSettings) -> Option<(f64, bool)>,
    ) -> (usize, Option<ExecutionSettings>) {
        let space = Space {
            starts: starts.to_vec(),
            cores: NonZeroUsize::new(8).unwrap(),
        };
        let mut measure = |settings: &ExecutionSettings| -> Result<Attempt, Infallible> {
            let Some((window_ms, passed)) = time(settings) else {
                return Ok(Attempt::Refused("no".into()));
            };
            let default = if settings.device == Device::Cpu { 1 } else { 4 };
            Ok(Attempt::Measured(TrialMeasurement {
                execution: String::new(),
                batch: settings.batch.map_or(default, NonZeroUsize::get),
                window_ms,
                load_ms: 0.0,
                first_ms: 0.0,
                logit_difference: 0.0,
                max_logit_difference: 0.0,
                identical_labels: 1.0,
                min_identical_labels: 1.0,
                passed,
            }))
        };
        let Ok((tried, best)) = explore(&space, &mut measure);
        let best = best.map(|best| tried[best].usable().expect("usable").0);
        (tried.len(), best)
    }

    #[test]
    fn a_gpu_gets_half_precision_and_the_fastest_batch() {
        let (tried, best) = explored(&ALL, |settings| {
            let half = settings.precision == InferencePrecision::Float16;
            let two = settings.batch.is_some_and(|batch| batch.get() == 2);
            let ms = if half { 5.0 } else { 10.0 } * if two { 0.9 } else { 1.0 };
            match (settings.device, settings.provider) {
                (Device::Cpu, _) => Some((500.0, true)),
                (_, Provider::TensorRtRtx) => None,
                _ => Some((ms, true)),
            }
        });
        let best = best.unwrap();
        assert_eq!(best.device, Device::Cuda(0));
        assert_eq!(best.precision, InferencePrecision::Float16);
        assert_eq!(best.search, ConvolutionSearch::Heuristic);
        assert_eq!(best.batch, NonZeroUsize::new(2));
        // Four starts, half precision, exhaustive search, batches 8, 2 and 1.
        assert_eq!(tried, 9);
    }

    #[test]
    fn what_fails_the_probe_is_never_taken_however_fast() {
        let (_, best) = explored(&ALL[..1], |settings| {
            let half = settings.precision == InferencePrecision::Float16;
            Some((if half { 1.0 } else { 10.0 }, !half))
        });
        assert_eq!(best.unwrap().precision, InferencePrecision::Float32);
        assert_eq!(explored(&ALL, |_| Some((1.0, false))), (4, None));
    }

    #[test]
    fn a_gain_that_a_second_look_denies_is_none() {
        let looks = Cell::new(0);
        let (_, best) = explored(&ALL[2..3], |settings| {
            if settings.threads.is_some() || settings.batch.is_some() {
                return Some((9.0, true));
            }
            looks.set(looks.get() + 1);
            Some((if looks.get() == 1 { 20.0 } else { 9.0 }, true))
        });
        assert_eq!((looks.get(), best.unwrap().threads), (2, None));
    }

    #[test]
    fn a_processor_gets_fewer_threads_only_while_that_is_faster() {
        let (tried, best) = explored(&ALL[2..], |settings| {
            let threads = settings.threads.map_or(8, NonZeroUsize::get);
            let of_threads = [0.0, 0.0, 9.0, 0.0, 8.0, 0.0, 0.0, 0.0, 10.0][threads];
            // A gain of 1 % is none.
            let of_batch = if settings.batch.is_some() { 0.99 } else { 1.0 };
            (settings.provider == Provider::Native).then_some((of_threads * of_batch, true))
        });
        let best = best.unwrap();
        assert_eq!(best.threads, NonZeroUsize::new(4));
        assert_eq!(best.batch, NonZeroUsize::new(1));
        // Two starts, 4 and 2 threads, batch 2.
        assert_eq!(tried, 5);
    }
}
