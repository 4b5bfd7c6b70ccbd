//! Figures of repeated segmentations.

use std::time::Duration;

use serde::Serialize;

use crate::record::{CaseOutcome, CaseRecord};

/// The stages of a case, as in the record of a run.
pub const STAGES: [&str; 6] = ["read", "prepare", "network", "stitch", "restore", "write"];
/// Index of the stage of the networks.
const NETWORK: usize = 2;

/// One segmentation of one case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    windows: usize,
    /// Seconds of each stage.
    stages: [f64; 6],
    /// Seconds from the first to the last.
    total: f64,
}

impl Sample {
    /// Computes the figures from the record of a case that ran alone for this time.
    pub(super) fn new(case: &CaseRecord, total: Duration) -> Option<Self> {
        let CaseOutcome::Segmented(segmented) = &case.outcome else {
            return None;
        };
        let seconds = &segmented.seconds;
        Some(Self {
            windows: segmented.windows,
            stages: [
                seconds.read,
                seconds.prepare,
                seconds.network,
                seconds.stitch,
                seconds.restore,
                seconds.write,
            ],
            total: total.as_secs_f64(),
        })
    }
}

/// Seconds that half, 95 % and 99 % of the rounds do not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
}

impl Percentiles {
    /// **Definition**: the smallest value that at least that share of all values does not exceed (nearest rank); with
    /// less than 100 values, the 99th percentile is the largest. 0 without values.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let rank = (percent * sorted.len()).div_ceil(100);
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        Self {
            p50: rank(50),
            p95: rank(95),
            p99: rank(99),
        }
    }
}

/// Figures of warm segmentations.
#[derive(Debug, Serialize)]
pub struct Stages {
    pub samples: usize,
    pub read: Percentiles,
    pub prepare: Percentiles,
    /// Without preprocessing, blending and restoring.
    pub network: Percentiles,
    /// Cutting windows and blending outputs.
    pub stitch: Percentiles,
    /// Combining members, inverting preprocessing, and labels.
    pub restore: Percentiles,
    /// Writing and digesting the label map.
    pub write: Percentiles,
    /// Wall-clock time of all stages.
    pub total: Percentiles,
    /// Share of the total outside of the networks.
    pub outside_network: f64,
    /// Milliseconds of the networks per window and member.
    pub window_ms: f64,
    /// Windows of all members per second of the total.
    pub windows_per_second: f64,
}

impl Stages {
    /// Sums them up; every window was predicted by this many members.
    pub(super) fn of(samples: &[Sample], members: usize) -> Self {
        let sum = |value: fn(&Sample) -> f64| samples.iter().map(value).sum::<f64>();
        let stage =
            |stage: usize| Percentiles::of(samples.iter().map(|sample| sample.stages[stage]));
        let (network, total) = (
            sum(|sample| sample.stages[NETWORK]),
            sum(|sample| sample.total),
        );
        let windows = sum(|sample| sample.windows as f64) * members as f64;
        let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
        Self {
            samples: samples.len(),
            read: stage(0),
            prepare: stage(1),
            network: stage(NETWORK),
            stitch: stage(3),
            restore: stage(4),
            write: stage(5),
            total: Percentiles::of(samples.iter().map(|sample| sample.total)),
            outside_network: ratio((total - network).max(0.0), total),
            window_ms: 1000.0 * ratio(network, windows),
            windows_per_second: ratio(windows, total),
        }
    }

    /// The percentiles with their names, the total last.
    pub fn rows(&self) -> [(&'static str, Percentiles); 7] {
        let [read, prepare, network, stitch, restore, write] = STAGES;
        [
            (read, self.read),
            (prepare, self.prepare),
            (network, self.network),
            (stitch, self.stitch),
            (restore, self.restore),
            (write, self.write),
            ("total", self.total),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let of = |count: u32| {
            Percentiles::of(
                (1..=count)
                    .rev()
                    .map(f64::from)
                    .collect::<Vec<_>>()
                    .into_iter(),
            )
        };
        let found = of(200);
        assert_eq!((found.p50, found.p95, found.p99), (100.0, 190.0, 198.0));
        let found = of(10);
        assert_eq!((found.p50, found.p95, found.p99), (5.0, 10.0, 10.0));
        let found = of(1);
        assert_eq!((found.p50, found.p95, found.p99), (1.0, 1.0, 1.0));
        assert_eq!(Percentiles::of(std::iter::empty()).p99, 0.0);
    }

    #[test]
    fn figures_are_of_windows_and_members() {
        let sample = |network: f64| Sample {
            windows: 4,
            stages: [0.25, 0.25, network, 0.25, 0.125, 0.125],
            total: network + 1.0,
        };
        let stages = Stages::of(&[sample(3.0), sample(5.0)], 2);
        assert_eq!(stages.samples, 2);
        assert_eq!(stages.outside_network, 2.0 / 10.0);
        assert_eq!(stages.window_ms, 8000.0 / 16.0);
        assert_eq!(stages.windows_per_second, 1.6);
        assert_eq!(stages.network.p50, 3.0);
        assert_eq!(stages.rows()[6].1.p95, 6.0);
    }
}
