//! Cases whose size, spacing or intensities differ much from those of the others.

use super::case::{Cohort, Measured};
use super::findings::{Finding, FindingKind, VoxelPosition};
use super::modified_z_score::{Outlier, THRESHOLD, median, outliers};

/// Least deviation of an outlier's spacing from the median, as a fraction of the median.
const LEAST_SPACING: f64 = 0.05;
/// Least deviation of an outlier's physical size from the median, as a fraction of the median.
const LEAST_SIZE: f64 = 0.2;

/// Findings about outliers, at most one per case and kind.
pub(super) fn find(cohort: &Cohort) -> Vec<Finding> {
    let mut found = outlying_sizes(cohort);
    found.extend(outlying_spacings(cohort));
    found.extend(outlying_intensities(cohort));
    found
}

/// Findings about outliers among the values of the cases. `least` maps the median to the least deviation; `text`
/// describes a value and the median.
fn outlying(
    cohort: &Cohort,
    kind: FindingKind,
    least: impl Fn(f64) -> f64,
    values: impl Fn(&Measured) -> Option<f64>,
    text: impl Fn(f64, f64) -> String,
) -> Vec<Finding> {
    let (cases, values): (Vec<_>, Vec<_>) = cohort
        .values()
        .filter_map(|measured| Some((measured, values(measured)?)))
        .unzip();
    let finding = |outlier: Outlier| {
        let measured: &Measured = cases[outlier.position];
        let message = format!(
            "{} (modified z-score {:.1}, expected at most {THRESHOLD})",
            text(outlier.value, outlier.median),
            outlier.score.abs()
        );
        Finding {
            position: look_at(measured),
            ..measured.finding(kind, message)
        }
    };
    let least = least(median(&values));
    outliers(&values, least).into_iter().map(finding).collect()
}

/// The middle of the case in its first image.
fn look_at(measured: &Measured) -> Option<VoxelPosition> {
    let file = measured.stats.image_filepath.first()?.clone();
    Some(VoxelPosition {
        file,
        voxel: measured.facts.middle,
    })
}

/// Names of the world axes, in the order of sizes and spacings.
const AXES: [&str; 3] = ["right-left", "anterior-posterior", "superior-inferior"];

fn outlying_sizes(cohort: &Cohort) -> Vec<Finding> {
    let axis = |axis: usize| {
        outlying(
            cohort,
            FindingKind::OutlierSize,
            |median| LEAST_SIZE * median,
            |measured| Some(measured.stats.image_stats.sizemm[axis]),
            |value, median| {
                format!(
                    "extent {} is {value:.1} mm, median {median:.1} mm",
                    AXES[axis]
                )
            },
        )
    };
    merged((0..3).flat_map(axis))
}

fn outlying_spacings(cohort: &Cohort) -> Vec<Finding> {
    let axis = |axis: usize| {
        outlying(
            cohort,
            FindingKind::OutlierSpacing,
            |median| LEAST_SPACING * median,
            |measured| Some(measured.stats.image_stats.spacing[axis]),
            |value, median| {
                format!(
                    "spacing {} is {value:.3} mm, median {median:.3} mm",
                    AXES[axis]
                )
            },
        )
    };
    merged((0..3).flat_map(axis))
}

/// Outliers among the medians of intensities: in the foreground where there is one, otherwise in the box of voxels
/// above 0. An outlier differs from the others by more than the usual standard deviation within a case.
fn outlying_intensities(cohort: &Cohort) -> Vec<Finding> {
    let stats = |measured: &Measured, channel: usize| {
        let foreground = measured.stats.image_foreground_stats.as_ref();
        let foreground = foreground.and_then(|stats| stats.intensity.get(channel));
        let whole = measured.stats.image_stats.intensity.get(channel);
        foreground.or(whole).cloned()
    };
    let channels = cohort
        .values()
        .map(|measured| measured.stats.image_stats.channels)
        .max()
        .unwrap_or(0);
    let channel = |channel: usize| {
        let deviations: Vec<f64> = cohort
            .values()
            .filter_map(|measured| stats(measured, channel))
            .map(|stats| stats.stdev)
            .collect();
        outlying(
            cohort,
            FindingKind::OutlierIntensity,
            |_| median(&deviations),
            |measured| stats(measured, channel).map(|stats| stats.median),
            |value, median| {
                format!(
                    "channel {channel} has the median intensity {}, the cases' median is {}",
                    short(value),
                    short(median)
                )
            },
        )
    };
    merged((0..channels).flat_map(channel))
}

/// Joins the findings of each case.
fn merged(findings: impl Iterator<Item = Finding>) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::new();
    for finding in findings {
        match merged.iter_mut().find(|other| other.cases == finding.cases) {
            Some(other) => other.message = format!("{}; {}", other.message, finding.message),
            None => merged.push(finding),
        }
    }
    merged
}

/// Formats a number with about five digits.
fn short(value: f64) -> String {
    let before = value.abs().max(1.0).log10() as usize;
    format!("{value:.0$}", 4_usize.saturating_sub(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_with_few_digits() {
        let told = [152_516.843_75, 368.805_355, -0.012_345, 0.0].map(short);
        assert_eq!(told, ["152517", "368.81", "-0.0123", "0.0000"]);
    }
}
