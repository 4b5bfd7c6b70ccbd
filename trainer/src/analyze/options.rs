//! Options of an analysis.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::histogram::Bins;

const MOST_BINS: usize = 100_000;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnalysisOptions {
    /// Labels that the task names, besides 0; `None` where it names none and all labels are classes.
    pub labels: Option<BTreeSet<u16>>,
    /// Whether other labels count as background; otherwise they are an error.
    pub others_are_background: bool,
    /// Histograms of all voxels, if requested.
    pub histogram: Option<HistogramOptions>,
    /// Whether to measure connected components of labels.
    pub components: bool,
}

impl From<u16> for AnalysisOptions {
    /// The labels 1 up to this one, without optional measures.
    fn from(foreground_labels: u16) -> Self {
        Self {
            labels: Some((1..=foreground_labels).collect()),
            ..Self::default()
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measures {
    /// Histograms of all voxels, if requested.
    pub histogram: Option<HistogramOptions>,
    /// Whether connected components of labels are measured.
    pub components: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistogramOptions {
    bins: usize,
    ranges: Vec<[f64; 2]>,
}

/// Why a histogram is refused.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum HistogramError {
    /// The number of bins is out of range.
    #[error("histograms of {found} bins are asked for, expected 1 to {MOST_BINS}")]
    Bins { found: usize },
    /// The bounds do not form pairs.
    #[error("the histogram's range has {found} bounds, expected LO,HI or such a pair per channel")]
    Bounds { found: usize },
    /// A lower bound is not below its upper bound.
    #[error("the histogram's range is {from} to {to}, expected finite numbers in rising order")]
    Range { from: f64, to: f64 },
}

impl HistogramOptions {
    /// Histograms of `bins` bins between pairs of bounds: one pair per channel, the last of which also serves all
    /// following channels.
    ///
    /// **Errors**: [`HistogramError`].
    pub fn new(bins: usize, bounds: &[f64]) -> Result<Self, HistogramError> {
        if !(1..=MOST_BINS).contains(&bins) {
            return Err(HistogramError::Bins { found: bins });
        }
        let (pairs, rest) = bounds.as_chunks();
        if pairs.is_empty() || !rest.is_empty() {
            return Err(HistogramError::Bounds {
                found: bounds.len(),
            });
        }
        for &[from, to] in pairs {
            // The width has to be finite as well.
            if !(to - from).is_finite() || from >= to {
                return Err(HistogramError::Range { from, to });
            }
        }
        Ok(Self {
            bins,
            ranges: pairs.to_vec(),
        })
    }

    pub(super) fn of_channel(&self, channel: usize) -> Bins {
        let range = self.ranges.get(channel).or(self.ranges.last());
        let [from, to] = range.copied().unwrap_or([-500.0, 500.0]);
        Bins {
            count: self.bins,
            from,
            to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_serve_channels_and_have_to_rise() {
        let options = HistogramOptions::new(5, &[0.0, 1.0, -3.0, 3.0]).unwrap();
        let from = |channel| options.of_channel(channel).from;
        assert_eq!([from(0), from(1), from(2)], [0.0, -3.0, -3.0]);
        assert!(matches!(
            HistogramOptions::new(0, &[0.0, 1.0]),
            Err(HistogramError::Bins { found: 0 })
        ));
        for bounds in [&[0.0][..], &[], &[1.0, 2.0, 3.0]] {
            let error = HistogramOptions::new(5, bounds);
            assert!(
                matches!(error, Err(HistogramError::Bounds { .. })),
                "{bounds:?}"
            );
        }
        for bounds in [
            [1.0, 1.0],
            [2.0, 1.0],
            [f64::NAN, 1.0],
            [f64::MIN, f64::MAX],
        ] {
            let error = HistogramOptions::new(5, &bounds);
            assert!(
                matches!(error, Err(HistogramError::Range { .. })),
                "{bounds:?}"
            );
        }
    }
}
