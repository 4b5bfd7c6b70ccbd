//! Analysis: measures a dataset and finds the cases that cannot be used.

mod case;
mod statistics;
pub mod stats;
mod summary;

pub use case::CaseError;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use thiserror::Error;

use crate::datalist::Case;
use stats::{CaseStats, StatsSummary};

/// Most cases that are in memory at once.
const MOST_AT_ONCE: usize = 8;

/// What an analysis gives.
#[derive(Debug)]
pub struct Analysis {
    /// Facts about all usable cases together.
    pub summary: StatsSummary,
    /// Facts about each usable case, in the datalist's order.
    pub cases: Vec<CaseStats>,
    /// Cases that cannot be used, in the datalist's order.
    pub excluded: Vec<Excluded>,
}

/// A case that cannot be used.
#[derive(Debug)]
pub struct Excluded {
    /// Its name.
    pub id: String,
    /// Why.
    pub reason: CaseError,
}

/// Why there are no data stats.
#[derive(Debug, Error)]
pub enum AnalyzeError {
    /// No case can be used.
    #[error("none of the {cases} cases can be used; the first is `{id}`")]
    NoUsableCase {
        /// How many there are.
        cases: usize,
        /// The first of them.
        id: String,
        /// Why it cannot be used.
        source: Box<CaseError>,
    },
    /// There is nothing to learn.
    #[error("none of the {cases} usable cases has a label besides 0")]
    NoForeground {
        /// Usable cases.
        cases: usize,
    },
}

/// Measures all cases, each read and released on its own, some at a time.
///
/// `observe` is called with the name of each case that is done, in any order. `foreground_labels` is the largest label that the task names.
///
/// **Definition**: see [`StatsSummary`]; the result does not depend on the number of threads.
///
/// **Errors**: [`AnalyzeError`] where nothing remains. A case that cannot be used is no error: it is left out.
pub fn analyze(
    cases: &[Case],
    dataroot: &Path,
    foreground_labels: u16,
    mut observe: impl FnMut(&str),
) -> Result<Analysis, AnalyzeError> {
    let mut results = BTreeMap::new();
    measure_all(cases, dataroot, foreground_labels, |position, result| {
        observe(&cases[position].id);
        results.insert(position, result);
    });
    let mut usable = Vec::new();
    let mut excluded = Vec::new();
    let expected = usual_channels(results.values().flatten());
    for (position, result) in results {
        let id = cases[position].id.clone();
        match result {
            Ok(stats) if stats.image_stats.channels != expected => {
                let found = stats.image_stats.channels;
                excluded.push(Excluded {
                    id,
                    reason: CaseError::Channels { found, expected },
                });
            }
            Ok(stats) => usable.push(stats),
            Err(reason) => excluded.push(Excluded { id, reason }),
        }
    }
    if usable.is_empty() && !excluded.is_empty() {
        let Excluded { id, reason } = excluded.swap_remove(0);
        let source = Box::new(reason);
        return Err(AnalyzeError::NoUsableCase {
            cases: cases.len(),
            id,
            source,
        });
    }
    let summary = summary::summarize(&usable).ok_or(AnalyzeError::NoForeground {
        cases: usable.len(),
    })?;
    Ok(Analysis {
        summary,
        cases: usable,
        excluded,
    })
}

/// Measures cases on as many threads as there are cores, within what memory allows.
fn measure_all(
    cases: &[Case],
    dataroot: &Path,
    foreground_labels: u16,
    mut receive: impl FnMut(usize, Result<CaseStats, CaseError>),
) {
    let next = AtomicUsize::new(0);
    let threads = rayon::current_num_threads()
        .min(MOST_AT_ONCE)
        .min(cases.len());
    // Own threads instead of a parallel iterator: a worker that waits inside a case would begin another one, and so
    // hold several in memory.
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some((position, case)) = take(cases, next) {
                    if sender
                        .send((position, case::measure(case, dataroot, foreground_labels)))
                        .is_err()
                    {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (position, result) in receiver {
            receive(position, result);
        }
    });
}

fn take<'a>(cases: &'a [Case], next: &AtomicUsize) -> Option<(usize, &'a Case)> {
    let position = next.fetch_add(1, Ordering::Relaxed);
    cases.get(position).map(|case| (position, case))
}

/// The number of channels that most cases have; of equals, the smaller.
fn usual_channels<'a>(cases: impl Iterator<Item = &'a CaseStats>) -> usize {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for case in cases {
        *counts.entry(case.image_stats.channels).or_default() += 1;
    }
    let most = counts
        .into_iter()
        .min_by_key(|&(_, count)| std::cmp::Reverse(count));
    most.map_or(1, |(channels, _)| channels)
}
