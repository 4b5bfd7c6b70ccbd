//! Histograms of intensities.

use serde::{Deserialize, Serialize};

/// Bins of the histogram for plots.
const PLOT_BINS: usize = 64;

/// Number of intensities in each bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Counts per bin; the last bin includes its upper edge.
    pub counts: Vec<u64>,
    /// Edges of the bins, one more than bins.
    pub bin_edges: Vec<f64>,
}

/// A histogram for plots: bins of equal width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvenHistogram {
    /// Lower edge of the first bin: the 0.5 % percentile.
    pub from: f64,
    /// Upper edge of the last bin: the 99.5 % percentile.
    pub to: f64,
    /// Counts per bin; intensities outside of the range are not counted.
    pub counts: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bins {
    pub count: usize,
    pub from: f64,
    pub to: f64,
}

impl Bins {
    /// Counts values in bins.
    ///
    /// **Definition**: a bin includes its lower edge, the last one its upper edge as well; values outside of all bins
    /// are not counted.
    ///
    /// **Source**: numpy 2 `histogram`.
    pub fn count(&self, values: impl Iterator<Item = f32>) -> Histogram {
        let Self { count, from, to } = *self;
        let edge = |index: usize| {
            if index == count {
                to
            } else {
                from + index as f64 * ((to - from) / count as f64)
            }
        };
        let bin_edges: Vec<f64> = (0..=count).map(edge).collect();
        let mut counts = vec![0; count];
        let per_unit = count as f64 / (to - from);
        for value in values.map(f64::from) {
            if value >= from && value <= to {
                // Rounding may assign a value near an edge to the neighboring bin.
                let mut bin = (((value - from) * per_unit) as usize).min(count - 1);
                if value < bin_edges[bin] {
                    bin -= 1;
                } else if bin + 1 < count && value >= bin_edges[bin + 1] {
                    bin += 1;
                }
                counts[bin] += 1;
            }
        }
        Histogram { counts, bin_edges }
    }
}

impl EvenHistogram {
    /// Counts the values between these outer percentiles.
    pub(super) fn of(values: &[f32], [from, to]: [f64; 2]) -> Self {
        let count = if to > from { PLOT_BINS } else { 1 };
        let bins = Bins { count, from, to };
        let counts = if to > from {
            bins.count(values.iter().copied()).counts
        } else {
            vec![values.len() as u64]
        };
        Self { from, to, counts }
    }
}

/// Sums histograms with the same bins.
pub(super) fn add<'a>(mut all: impl Iterator<Item = &'a Histogram>) -> Option<Histogram> {
    let mut sum = all.next()?.clone();
    for histogram in all {
        for (sum, count) in sum.counts.iter_mut().zip(&histogram.counts) {
            *sum += count;
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_those_of_numpy() {
        // numpy.histogram([-600, -500, -499.9, 0, 99.99, 100, 499, 500, 501], 10, (-500, 500))
        let values = [
            -600.0, -500.0, -499.9, 0.0, 99.99, 100.0, 499.0, 500.0, 501.0,
        ];
        let bins = Bins {
            count: 10,
            from: -500.0,
            to: 500.0,
        };
        let found = bins.count(values.into_iter());
        assert_eq!(found.counts, [2, 0, 0, 0, 0, 2, 1, 0, 0, 2]);
        assert_eq!(found.bin_edges[..3], [-500.0, -400.0, -300.0]);
        // Edges without an exact binary representation: numpy.histogram(numpy.arange(0, 10) / 10, 10, (0, 1)).
        let tenths = (0..10).map(|index| (f64::from(index) / 10.0) as f32);
        let bins = Bins {
            count: 10,
            from: 0.0,
            to: 1.0,
        };
        assert_eq!(bins.count(tenths).counts.iter().sum::<u64>(), 10);
        let twice = add([&found, &found].into_iter()).unwrap();
        assert_eq!(twice.counts[0], 4);
    }
}
