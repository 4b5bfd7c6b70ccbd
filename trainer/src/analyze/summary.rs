//! Facts about all cases together.

use std::collections::BTreeSet;

use super::statistics::{average, spread, spread_by_axis};
use super::stats::{
    CaseStats, ForegroundSummary, ImageSummary, IntensityStats, LabelSpread, LabelSummary, Spread,
    StatsSummary,
};

/// Puts the stats of cases with equal channels together; `None` where no case has a label besides background.
///
/// **Definition**: as Auto3DSeg, with four differences. Every channel counts in the averages, not only the first. A
/// label is averaged over the cases where it occurs, by its value and not by its position. The box of voxels above 0
/// is cropped on all three axes. Cases without foreground do not enter the foreground's averages; the reference
/// lets them count as one voxel of intensity 0.
pub(super) fn summarize(cases: &[CaseStats]) -> Option<StatsSummary> {
    let foreground = || {
        cases
            .iter()
            .map(|case| &case.image_foreground_stats.intensity)
    };
    let foreground_intensity = average(foreground().flatten())?;
    let channels = cases.iter().map(|case| case.image_stats.channels).max()?;
    let intensity_by_channel = (0..channels)
        .map(|channel| average(foreground().filter_map(|channels| channels.get(channel))))
        .collect::<Option<_>>()?;
    Some(StatsSummary {
        image_stats: summarize_images(cases)?,
        image_foreground_stats: ForegroundSummary {
            intensity: foreground_intensity.clone(),
            intensity_by_channel,
        },
        label_stats: summarize_labels(cases, foreground_intensity)?,
        n_cases: cases.len(),
    })
}

fn summarize_images(cases: &[CaseStats]) -> Option<ImageSummary> {
    let stats = || cases.iter().map(|case| &case.image_stats);
    let channels: Vec<f64> = stats().map(|stats| stats.channels as f64).collect();
    Some(ImageSummary {
        shape: whole(stats().flat_map(|stats| &stats.shape)),
        channels: spread(&channels).map(|count| count as usize),
        cropped_shape: whole(stats().flat_map(|stats| &stats.cropped_shape)),
        spacing: spread_by_axis(&stats().map(|stats| stats.spacing).collect::<Vec<_>>()),
        sizemm: spread_by_axis(&stats().map(|stats| stats.sizemm).collect::<Vec<_>>()),
        intensity: average(stats().flat_map(|stats| &stats.intensity))?,
    })
}

fn whole<'a>(shapes: impl Iterator<Item = &'a [usize; 3]>) -> Spread<[usize; 3], [f64; 3]> {
    let shapes: Vec<_> = shapes.map(|shape| shape.map(|side| side as f64)).collect();
    spread_by_axis(&shapes).map(|sides| sides.map(|side| side as usize))
}

fn summarize_labels(cases: &[CaseStats], image_intensity: IntensityStats) -> Option<LabelSummary> {
    let labels: BTreeSet<u16> = cases
        .iter()
        .flat_map(|case| case.label_stats.labels.iter().copied())
        .collect();
    let summarize = |value: &u16| {
        let of_case = |case: &'_ CaseStats| {
            case.label_stats
                .labels
                .iter()
                .position(|label| label == value)
        };
        let present: Vec<_> = cases
            .iter()
            .filter_map(|case| of_case(case).map(|at| &case.label_stats.label[at]))
            .collect();
        let shares: Vec<f64> = present
            .iter()
            .map(|label| label.foreground_percentage)
            .collect();
        Some(LabelSpread {
            foreground_percentage: spread(&shares),
            image_intensity: average(present.iter().flat_map(|label| &label.image_intensity))?,
        })
    };
    let label = labels.iter().map(summarize).collect::<Option<_>>()?;
    Some(LabelSummary {
        labels: labels.into_iter().collect(),
        image_intensity,
        label,
    })
}
