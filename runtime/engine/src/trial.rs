//! Measures how fast a bundle runs with some options, and verifies its probe with them.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use vesal_bundle::Bundle;

use crate::ensemble::Ensemble;
use crate::error::EngineError;
use crate::options::EngineOptions;
use crate::prepared::PreparedCase;
use crate::verify::{VerifyError, VerifyReport, replay};

/// Fewest rounds that are measured, unless one takes many times [`SPAN`].
const MIN_ROUNDS: usize = 3;
/// Time after which no further round is started.
const SPAN: Duration = Duration::from_secs(1);
/// Rounds of this length are measured once.
const LONG: Duration = Duration::from_secs(5);

/// Result of a trial of some options.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Result of the probe.
    pub report: VerifyReport,
    /// Description of the execution; see [`Ensemble::execution`].
    pub execution: String,
    /// Windows per call of a network.
    pub batch: usize,
    /// Windows of the case, over all members.
    pub windows: usize,
    /// Time for opening the networks.
    pub load: Duration,
    /// Time of the first round, in which a device may still search for algorithms.
    pub first: Duration,
    /// Times of the rounds after it, each over all windows: prediction, stitching and labels.
    pub rounds: Vec<Duration>,
}

impl Trial {
    /// The shortest time of a window: other load on the machine only makes it longer.
    pub fn window_time(&self) -> Option<Duration> {
        let fastest = self.rounds.iter().min()?;
        Some(fastest.div_f64(self.windows.max(1) as f64))
    }
}

/// Replays the probe of a bundle with these options, then segments the case again and again: one warm-up round, then
/// for about a second and at least three times, or once if a round takes five seconds or more.
///
/// **Errors**: the networks cannot be run, or `progress` breaks ([`EngineError::Stopped`]). Deviating answers are not
/// an error.
pub fn trial(
    bundle: &Bundle,
    options: &EngineOptions,
    case: &PreparedCase,
    progress: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Trial, VerifyError> {
    let start = Instant::now();
    let mut ensemble = Ensemble::open(bundle, options)?;
    let load = start.elapsed();
    let report = replay(bundle, &mut ensemble)?;
    let mut windows = 0;
    let mut round = |ensemble: &mut Ensemble| -> Result<Duration, EngineError> {
        let case = case.clone();
        let start = Instant::now();
        let found = ensemble.predict_prepared(case, None, &mut |_| progress())?;
        windows = found.total_windows();
        found.finish()?;
        Ok(start.elapsed())
    };
    let first = round(&mut ensemble)?;
    let (begin, mut rounds) = (Instant::now(), Vec::new());
    while rounds.is_empty()
        || begin.elapsed() < SPAN
        || rounds.len() < MIN_ROUNDS && begin.elapsed() < LONG
    {
        rounds.push(round(&mut ensemble)?);
    }
    Ok(Trial {
        report,
        execution: ensemble.execution().to_owned(),
        batch: ensemble.batch(),
        windows,
        load,
        first,
        rounds,
    })
}
