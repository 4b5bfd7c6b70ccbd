//! Outliers by their modified z-score.

/// Modified z-score above which a value is an outlier.
pub(super) const THRESHOLD: f64 = 3.5;
/// Among fewer cases, no value counts as an outlier.
const LEAST_CASES: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outlier {
    /// Position among the values.
    pub position: usize,
    pub value: f64,
    /// Median of all values.
    pub median: f64,
    /// Modified z-score, with the sign of the deviation.
    pub score: f64,
}

/// Finds the values whose modified z-score exceeds 3.5 and which differ from the median by more than `least`. Where
/// cases hardly vary, the score alone would report negligible differences.
///
/// **Definition**: 0.6745 · (x − median) / MAD, MAD being the median absolute deviation from the median; where that is 0
/// because more than half of the values are equal, (x − median) / (1.2533 · mean absolute deviation). No value is an
/// outlier among fewer than 5.
///
/// **Source**: Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers".
pub(super) fn outliers(values: &[f64], least: f64) -> Vec<Outlier> {
    if values.len() < LEAST_CASES {
        return Vec::new();
    }
    let middle = median(values);
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    let mean = distances.iter().sum::<f64>() / distances.len() as f64;
    let mad = median(&distances);
    let unit = if mad > 0.0 {
        mad / 0.6745
    } else {
        1.2533 * mean
    };
    let score = |(position, &value): (usize, &f64)| Outlier {
        position,
        value,
        median: middle,
        score: (value - middle) / unit,
    };
    let is_far = |outlier: &Outlier| {
        outlier.score.abs() > THRESHOLD && (outlier.value - middle).abs() > least
    };
    // Where all values are equal, the unit is 0 and no score is finite.
    values
        .iter()
        .enumerate()
        .map(score)
        .filter(is_far)
        .collect()
}

/// The median: the mean of the two middle values where the number is even; NaN for no values.
pub(super) fn median(values: &[f64]) -> f64 {
    let Some(last) = values.len().checked_sub(1) else {
        return f64::NAN;
    };
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    (values[last / 2] + values[last.div_ceil(2)]) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(values: &[f64], least: f64) -> Vec<usize> {
        outliers(values, least)
            .into_iter()
            .map(|outlier| outlier.position)
            .collect()
    }

    #[test]
    fn far_values_are_outliers() {
        let values = [10.0, 11.0, 9.0, 10.5, 9.5, 30.0];
        let found = outliers(&values, 0.0);
        // Median 10.25, deviations 0.25 0.25 0.75 0.75 1.25 19.75: MAD 0.75.
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].position, found[0].median), (5, 10.25));
        assert!((found[0].score - 0.6745 * 19.75 / 0.75).abs() < 1e-9);
        assert_eq!(positions(&values, 20.0), [0; 0]);
    }

    #[test]
    fn equal_values_have_none_and_few_say_nothing() {
        assert_eq!(positions(&[1.0; 9], 0.0), [0; 0]);
        assert_eq!(positions(&[1.0, 1.0, 1.0, 9.0], 0.0), [0; 0]);
        let mut values = [1.0; 9];
        values[3] = 5.0;
        assert_eq!(positions(&values, 0.05), [3]);
        // Differences by rounding alone are not reported.
        values[3] = 1.000_001;
        assert_eq!(positions(&values, 0.05), [0; 0]);
    }
}
