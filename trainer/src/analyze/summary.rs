//! Statistics over all cases.

use std::collections::BTreeSet;

use super::histogram;
use super::statistics::{average, spread, spread_by_axis};
use super::stats::{
    CaseLabel, CaseLabelStats, CaseStats, ForegroundSummary, HistogramSummary, ImageSummary,
    ImagesSummary, IntensityStats, LabelSpread, LabelSummary, Spread, StatsSummary,
};

/// Summarizes the statistics of cases with equal numbers of channels; `None` where no case has a label besides
/// background.
///
/// **Definition**: as in Auto3DSeg, with four differences. All channels enter the averages, not only the first. A label
/// is averaged over the cases where it occurs, by its value and not by its position. The bounding box of voxels above 0
/// is cropped on all three axes. Cases without foreground do not enter the foreground's averages; in Auto3DSeg they
/// enter as one voxel of intensity 0.
pub(super) fn summarize(cases: &[CaseStats]) -> Option<StatsSummary> {
    let labels: Vec<&CaseLabelStats> = cases
        .iter()
        .filter_map(|case| case.label_stats.as_ref())
        .collect();
    let foreground = || labels.iter().map(|stats| stats.image_intensity.as_slice());
    let intensity = average(foreground().flatten())?;
    Some(StatsSummary {
        image_stats: summarize_images(cases)?,
        image_foreground_stats: ForegroundSummary {
            intensity: intensity.clone(),
            intensity_by_channel: by_channel(foreground())?,
        },
        label_stats: summarize_labels(&labels, intensity)?,
        image_histogram: summarize_histograms(cases),
        n_cases: cases.len(),
    })
}

/// Summarizes the statistics of images without labels; `None` where there is no case.
pub(super) fn summarize_without_labels(cases: &[CaseStats]) -> Option<ImagesSummary> {
    Some(ImagesSummary {
        image_stats: summarize_images(cases)?,
        image_histogram: summarize_histograms(cases),
        n_cases: cases.len(),
    })
}

fn summarize_images(cases: &[CaseStats]) -> Option<ImageSummary> {
    let stats = || cases.iter().map(|case| &case.image_stats);
    let intensities = || stats().map(|stats| stats.intensity.as_slice());
    let channels: Vec<f64> = stats().map(|stats| stats.channels as f64).collect();
    let intensity = average(intensities().flatten())?;
    Some(ImageSummary {
        shape: whole(stats().flat_map(|stats| &stats.shape)),
        channels: spread(&channels).map(|count| count as usize),
        cropped_shape: whole(stats().flat_map(|stats| &stats.cropped_shape)),
        spacing: spread_by_axis(&stats().map(|stats| stats.spacing).collect::<Vec<_>>()),
        sizemm: spread_by_axis(&stats().map(|stats| stats.sizemm).collect::<Vec<_>>()),
        intensity,
        intensity_by_channel: by_channel(intensities())?,
    })
}

/// The average of each channel over the cases that have it.
fn by_channel<'a>(
    cases: impl Iterator<Item = &'a [IntensityStats]> + Clone,
) -> Option<Vec<IntensityStats>> {
    let channels = cases.clone().map(<[_]>::len).max()?;
    (0..channels)
        .map(|channel| average(cases.clone().filter_map(|case| case.get(channel))))
        .collect()
}

fn whole<'a>(shapes: impl Iterator<Item = &'a [usize; 3]>) -> Spread<[usize; 3], [f64; 3]> {
    let shapes: Vec<_> = shapes.map(|shape| shape.map(|side| side as f64)).collect();
    spread_by_axis(&shapes).map(|sides| sides.map(|side| side as usize))
}

fn summarize_histograms(cases: &[CaseStats]) -> Option<HistogramSummary> {
    let all = || {
        cases
            .iter()
            .filter_map(|case| case.image_histogram.as_ref())
    };
    let channels = all().map(Vec::len).max()?;
    let of_channel = |channel| histogram::add(all().filter_map(|case| case.get(channel)));
    Some(HistogramSummary {
        histogram: (0..channels).filter_map(of_channel).collect(),
    })
}

fn summarize_labels(
    cases: &[&CaseLabelStats],
    image_intensity: IntensityStats,
) -> Option<LabelSummary> {
    let labels: BTreeSet<u16> = cases
        .iter()
        .flat_map(|case| case.labels.iter().copied())
        .collect();
    let label = labels
        .iter()
        .map(|&value| summarize_label(cases, value))
        .collect::<Option<_>>()?;
    Some(LabelSummary {
        labels: labels.into_iter().collect(),
        image_intensity,
        label,
    })
}

/// Statistics of one label over the cases that have it.
fn summarize_label(cases: &[&CaseLabelStats], value: u16) -> Option<LabelSpread> {
    let position = |case: &CaseLabelStats| case.labels.iter().position(|&label| label == value);
    let present: Vec<&CaseLabel> = cases
        .iter()
        .filter_map(|case| position(case).map(|at| &case.label[at]))
        .collect();
    let shares: Vec<f64> = present
        .iter()
        .map(|label| label.foreground_percentage)
        .collect();
    let components: Option<Vec<f64>> = present
        .iter()
        .map(|label| label.ncomponents.map(|count| count as f64))
        .collect();
    let shapes: Option<Vec<&Vec<[usize; 3]>>> =
        present.iter().map(|label| label.shape.as_ref()).collect();
    Some(LabelSpread {
        foreground_percentage: spread(&shares),
        image_intensity: average(present.iter().flat_map(|label| &label.image_intensity))?,
        shape: shapes.map(|shapes| whole(shapes.into_iter().flatten())),
        ncomponents: components.map(|counts| spread(&counts).map(|count| count as usize)),
    })
}
