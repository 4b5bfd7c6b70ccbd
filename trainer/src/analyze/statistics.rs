//! Order statistics and moments by the conventions of MONAI.

use super::stats::{IntensityStats, Spread};

/// Percentiles that describe a distribution.
const PERCENTILES: [f64; 4] = [0.5, 10.0, 90.0, 99.5];

/// Describes intensities and reorders them; `None` for no values.
///
/// **Definition**: the median is the lower of the two middle values; percentiles interpolate linearly between the
/// neighbors of `q / 100 · (n - 1)`; the standard deviation is that of the population. Sums are in `f64`. Values are
/// finite.
///
/// **Source**: MONAI 1.6.1 `SampleOperations` on tensors.
pub(super) fn describe(values: &mut [f32]) -> Option<IntensityStats> {
    let last = values.len().checked_sub(1)?;
    let positions = PERCENTILES.map(|q| q / 100.0 * last as f64);
    let mut ranks = vec![0, last / 2, last];
    for position in positions {
        ranks.extend([
            position.floor() as usize,
            (position.ceil() as usize).min(last),
        ]);
    }
    ranks.sort_unstable();
    ranks.dedup();
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let squares = values
        .iter()
        .map(|&value| (f64::from(value) - mean).powi(2))
        .sum::<f64>();
    place(values, 0, &ranks);
    let at = |rank: usize| f64::from(values[rank]);
    let percentile = positions.map(|position| {
        let below = position.floor() as usize;
        let above = (position.ceil() as usize).min(last);
        at(below) + (at(above) - at(below)) * position.fract()
    });
    let [p00_5, p10, p90, p99_5] = percentile;
    Some(IntensityStats {
        max: at(last),
        mean,
        median: at(last / 2),
        min: at(0),
        stdev: (squares / count).sqrt(),
        percentile: Some(percentile),
        percentile_00_5: p00_5,
        percentile_10_0: p10,
        percentile_90_0: p90,
        percentile_99_5: p99_5,
    })
}

/// Moves the values of these ranks to their positions in sorted order; `values` begin at rank `offset`.
fn place(values: &mut [f32], offset: usize, ranks: &[usize]) {
    if ranks.is_empty() {
        return;
    }
    let middle = ranks.len() / 2;
    let rank = ranks[middle] - offset;
    let (below, _, above) = values.select_nth_unstable_by(rank, f32::total_cmp);
    place(below, offset, &ranks[..middle]);
    place(above, ranks[middle] + 1, &ranks[middle + 1..]);
}

/// The mean of every statistic, except that minimum and maximum are the smallest and the largest; `None` for no values.
///
/// **Source**: MONAI 1.6.1 `SummaryOperations`.
pub(super) fn average<'a>(all: impl Iterator<Item = &'a IntensityStats>) -> Option<IntensityStats> {
    let mut count = 0.0;
    let mut total: Option<IntensityStats> = None;
    for stats in all {
        count += 1.0;
        total = Some(match total {
            None => IntensityStats {
                percentile: None,
                ..stats.clone()
            },
            Some(total) => IntensityStats {
                max: total.max.max(stats.max),
                mean: total.mean + stats.mean,
                median: total.median + stats.median,
                min: total.min.min(stats.min),
                stdev: total.stdev + stats.stdev,
                percentile: None,
                percentile_00_5: total.percentile_00_5 + stats.percentile_00_5,
                percentile_10_0: total.percentile_10_0 + stats.percentile_10_0,
                percentile_90_0: total.percentile_90_0 + stats.percentile_90_0,
                percentile_99_5: total.percentile_99_5 + stats.percentile_99_5,
            },
        });
    }
    total.map(|total| IntensityStats {
        max: total.max,
        mean: total.mean / count,
        median: total.median / count,
        min: total.min,
        stdev: total.stdev / count,
        percentile: None,
        percentile_00_5: total.percentile_00_5 / count,
        percentile_10_0: total.percentile_10_0 / count,
        percentile_90_0: total.percentile_90_0 / count,
        percentile_99_5: total.percentile_99_5 / count,
    })
}

/// Distribution of a number over cases; `values` are not empty.
///
/// **Definition**: the median is the mean of the two middle values, percentiles interpolate linearly, the standard
/// deviation is that of the population.
///
/// **Source**: MONAI 1.6.1 `SampleOperations` on arrays.
pub(super) fn spread(values: &[f64]) -> Spread<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len() - 1;
    let at = |position: f64| {
        let (below, above) = (
            sorted[position.floor() as usize],
            sorted[(position.ceil() as usize).min(last)],
        );
        below + (above - below) * position.fract()
    };
    let count = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / count;
    let variance = sorted
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count;
    let percentile = PERCENTILES.map(|q| at(q / 100.0 * last as f64));
    Spread::new(
        sorted[last],
        mean,
        at(last as f64 / 2.0),
        sorted[0],
        variance.sqrt(),
        percentile,
    )
}

/// [`spread`] of each of three axes.
pub(super) fn spread_by_axis(values: &[[f64; 3]]) -> Spread<[f64; 3]> {
    let axes: [Spread<f64>; 3] = std::array::from_fn(|axis| {
        spread(&values.iter().map(|value| value[axis]).collect::<Vec<_>>())
    });
    let each = |figure: fn(&Spread<f64>) -> f64| std::array::from_fn(|axis| figure(&axes[axis]));
    Spread::new(
        each(|axis| axis.max),
        each(|axis| axis.mean),
        each(|axis| axis.median),
        each(|axis| axis.min),
        each(|axis| axis.stdev),
        std::array::from_fn(|q| std::array::from_fn(|axis| axes[axis].percentile[q])),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intensities_have_the_lower_median_and_linear_percentiles() {
        let mut values = [4.0, 1.0, 3.0, 2.0];
        let stats = describe(&mut values).unwrap();
        assert_eq!(
            (stats.min, stats.max, stats.mean, stats.median),
            (1.0, 4.0, 2.5, 2.0)
        );
        assert!((stats.stdev - 1.25_f64.sqrt()).abs() < 1e-12);
        assert!((stats.percentile_10_0 - 1.3).abs() < 1e-12);
        assert!((stats.percentile_90_0 - 3.7).abs() < 1e-12);
        assert!((stats.percentile_99_5 - 3.985).abs() < 1e-12);
        assert_eq!(describe(&mut []), None);
        let one = describe(&mut [7.0]).unwrap();
        assert_eq!(
            (one.median, one.stdev, one.percentile_00_5),
            (7.0, 0.0, 7.0)
        );
    }

    #[test]
    fn selection_agrees_with_sorting() {
        let mut values: Vec<f32> = (0..1001_u32).map(|i| ((i * 7919) % 1009) as f32).collect();
        let mut sorted = values.clone();
        sorted.sort_by(f32::total_cmp);
        let ranks = [0, 1, 5, 6, 500, 900, 901, 999, 1000];
        place(&mut values, 0, &ranks);
        assert!(ranks.iter().all(|&rank| values[rank] == sorted[rank]));
    }

    #[test]
    fn spreads_have_the_middle_median() {
        let found = spread(&[1.0, 2.0, 3.0, 10.0]);
        assert_eq!((found.median, found.mean, found.max), (2.5, 4.0, 10.0));
        let axes = spread_by_axis(&[[1.0, 10.0, 5.0], [3.0, 30.0, 5.0]]);
        assert_eq!(axes.mean, [2.0, 20.0, 5.0]);
        assert_eq!(axes.stdev, [1.0, 10.0, 0.0]);
        assert_eq!(axes.percentile_90_0, [2.8, 28.0, 5.0]);
    }
}
