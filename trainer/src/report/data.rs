//! Properties of images and labels.

use std::collections::BTreeMap;

use super::format::{count, short};
use super::page::{Section, figure};
use super::plot::{self, COLORS, Words};
use crate::analyze::stats::{CaseStats, EvenHistogram};
use crate::work_dir::{WorkDir, WorkError};

/// Number of bins of the histogram over all cases.
const BINS: usize = 64;
/// Axes of a grid in RAS.
const AXES: [&str; 3] = ["x (left–right)", "y (back–front)", "z (down–up)"];
/// Maximum number of labels in a plot.
const LABELS: usize = 40;

/// Distributions of grids, intensities and labels over cases.
pub fn section(work: &WorkDir) -> Result<Section, WorkError> {
    let mut section = Section::new("data", "Data");
    let Some(cases) = work.case_stats()? else {
        section.missing(
            "There are no data stats yet.",
            "vesal-train analyze --work-dir DIR",
        );
        return Ok(section);
    };
    section.paragraph(&format!(
        "{} of {} measured, turned to RAS order.",
        count(cases.len(), "case"),
        work.cases()
    ));
    grids(&mut section, &cases);
    intensities(&mut section, &cases);
    labels(&mut section, work, &cases);
    Ok(section)
}

fn grids(section: &mut Section, cases: &[CaseStats]) {
    section.heading("Grids");
    let shape =
        |case: &CaseStats, axis: usize| case.image_stats.shape.first().map(|s| s[axis] as f64);
    let spacing = |case: &CaseStats, axis: usize| Some(case.image_stats.spacing[axis]);
    let size = |case: &CaseStats, axis: usize| Some(case.image_stats.sizemm[axis]);
    let along = |of: &dyn Fn(&CaseStats, usize) -> Option<f64>| -> Vec<(String, Vec<f64>)> {
        let axis = |(axis, name): (usize, &&str)| {
            let values = cases.iter().filter_map(|case| of(case, axis));
            (name[..1].to_owned(), values.collect())
        };
        AXES.iter().enumerate().map(axis).collect()
    };
    let (shapes, spacings, sizes) = (along(&shape), along(&spacing), along(&size));
    let rows = [
        ("Shape in voxels", &shapes),
        ("Spacing in mm", &spacings),
        ("Size in mm", &sizes),
    ];
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .flat_map(|(what, axes)| {
            axes.iter()
                .map(move |(axis, values)| spread(&format!("{what}, {axis}"), values))
        })
        .collect();
    section.table("Over cases", &["", "Smallest", "Median", "Largest"], &rows);
    let words = |title, x| Words { title, x, y: "" };
    let mut plots = vec![
        figure(
            &plot::strips(words("Shape", "voxels"), &shapes, None),
            &plot::strips_caption(cases.len()),
        ),
        figure(
            &plot::strips(words("Spacing", "mm"), &spacings, None),
            &plot::strips_caption(cases.len()),
        ),
    ];
    for (axis, (_, values)) in sizes.iter().enumerate() {
        let title = format!("Size along {}", AXES[axis]);
        let caption = "How many cases are so large.";
        plots.push(over_cases(&title, "mm", values, 0, caption));
    }
    section.gallery(&plots);
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    for case in cases {
        *codes.entry(&case.orientation).or_default() += 1;
    }
    let codes: Vec<String> = codes
        .into_iter()
        .map(|(code, number)| format!("{code} ({})", count(number, "case")))
        .collect();
    section.paragraph(&format!("Orientation of the files: {}.", codes.join(", ")));
}

fn intensities(section: &mut Section, cases: &[CaseStats]) {
    section.heading("Intensities");
    let channels = cases
        .iter()
        .map(|case| case.intensity_histogram.len())
        .max();
    let mut plots = Vec::new();
    for channel in 0..channels.unwrap_or(0) {
        let histograms = cases
            .iter()
            .filter_map(|case| case.intensity_histogram.get(channel));
        let Some((edges, counts)) = together(histograms) else {
            continue;
        };
        let title = format!("Intensities under the labels, channel {channel}");
        let words = Words {
            title: &title,
            x: "intensity",
            y: "share of voxels in %",
        };
        plots.push(figure(
            &plot::bars(words, &edges, &counts, 2),
            "Cases count alike, each from its 0.5 % to its 99.5 % percentile; without labels, voxels above 0.",
        ));
        let medians = cases.iter().filter_map(|case| {
            let stats = case
                .image_foreground_stats
                .as_ref()
                .map(|stats| &stats.intensity);
            let stats = stats.and_then(|stats| stats.get(channel));
            Some(stats.or(case.image_stats.intensity.get(channel))?.median)
        });
        let title = format!("Median intensity of cases, channel {channel}");
        let medians: Vec<f64> = medians.collect();
        let caption = "Far from the others: another scanner, scaling or modality.";
        plots.push(over_cases(&title, "intensity", &medians, 0, caption));
    }
    section.gallery(&plots);
}

/// A plot of a quantity's distribution over cases.
pub(super) fn over_cases(
    title: &str,
    unit: &str,
    values: &[f64],
    color: usize,
    caption: &str,
) -> String {
    let (edges, counts) = plot::binned(values);
    let words = Words {
        title,
        x: unit,
        y: "cases",
    };
    figure(&plot::bars(words, &edges, &counts, color), caption)
}

/// Averages histograms of different ranges in common bins, in percent.
fn together<'a>(
    histograms: impl Iterator<Item = &'a EvenHistogram>,
) -> Option<(Vec<f64>, Vec<f64>)> {
    let usable = |histogram: &&EvenHistogram| {
        histogram.from.is_finite() && histogram.to.is_finite() && !histogram.counts.is_empty()
    };
    let histograms: Vec<_> = histograms.filter(usable).collect();
    // Extremes of single cases would compress all others into one bin.
    let ends = |end: &dyn Fn(&EvenHistogram) -> f64| {
        let mut ends: Vec<f64> = histograms.iter().map(|histogram| end(histogram)).collect();
        ends.sort_by(f64::total_cmp);
        ends
    };
    let (lows, highs) = (
        ends(&|histogram| histogram.from),
        ends(&|histogram| histogram.to),
    );
    let aside = lows.len() / 10;
    let low = *lows.get(aside)?;
    let mut high = highs[highs.len() - 1 - aside];
    if high <= low {
        high = low + 1.0;
    }
    let width = (high - low) / BINS as f64;
    let mut shares = vec![0.0; BINS];
    for histogram in &histograms {
        let total: u64 = histogram.counts.iter().sum();
        let step = (histogram.to - histogram.from) / histogram.counts.len() as f64;
        for (bin, &number) in histogram.counts.iter().enumerate() {
            let share = number as f64 / total.max(1) as f64 / histograms.len() as f64 * 100.0;
            let from = histogram.from + bin as f64 * step;
            // The counts of a wide bin are distributed to the narrow ones that it covers.
            let parts = (step / width).ceil().clamp(1.0, BINS as f64);
            for part in 0..parts as usize {
                let at = from + (part as f64 + 0.5) / parts * step;
                if at >= low && at < high {
                    shares[(((at - low) / width) as usize).min(BINS - 1)] += share / parts;
                }
            }
        }
    }
    let edges = (0..=BINS).map(|bin| low + bin as f64 * width).collect();
    Some((edges, shares))
}

fn labels(section: &mut Section, work: &WorkDir, cases: &[CaseStats]) {
    let mut volumes: BTreeMap<u16, Vec<f64>> = BTreeMap::new();
    for case in cases {
        let Some(stats) = &case.label_stats else {
            continue;
        };
        let voxels: f64 = case.image_stats.sizemm.iter().product();
        for (&label, facts) in stats.labels.iter().zip(&stats.label) {
            if label != 0 {
                let ml = facts.foreground_percentage * voxels / 1000.0;
                volumes.entry(label).or_default().push(ml);
            }
        }
    }
    section.heading("Labels");
    if volumes.is_empty() {
        section.note("The cases have no labels.");
        return;
    }
    let rows: Vec<Vec<String>> = volumes
        .iter()
        .map(|(&label, values)| {
            let mut row = spread(&work.label_name(label), values);
            row.insert(1, format!("{} of {}", values.len(), cases.len()));
            row.insert(1, label.to_string());
            row
        })
        .collect();
    section.table(
        "Volume in ml, in the cases that have the label",
        &["Label", "Value", "Cases", "Smallest", "Median", "Largest"],
        &rows,
    );
    let named: Vec<(String, Vec<f64>)> = volumes
        .into_iter()
        .map(|(label, values)| (work.label_name(label), values))
        .collect();
    let words = Words {
        title: "Volume of each label",
        x: "ml",
        y: "",
    };
    let mut plots = vec![figure(
        &plot::strips(words, &named[..named.len().min(LABELS)], None),
        &plot::strips_caption(cases.len()),
    )];
    for (index, (name, values)) in named.iter().enumerate().take(COLORS - 1) {
        let title = format!("Volume of {name}");
        let caption = "How many cases have so much of it.";
        plots.push(over_cases(&title, "ml", values, index, caption));
    }
    section.gallery(&plots);
    if named.len() > LABELS {
        section.note(&format!(
            "The plot shows the first {LABELS} of {} labels; the table shows all.",
            named.len()
        ));
    }
}

/// A row with a name, and the minimum, median and maximum of values.
fn spread(name: &str, values: &[f64]) -> Vec<String> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let figures = [
        sorted.first().copied(),
        plot::median(&sorted),
        sorted.last().copied(),
    ];
    let is_whole = values.iter().all(|value| value.fract() == 0.0);
    let told = |value: f64| {
        if is_whole {
            value.to_string()
        } else {
            short(value)
        }
    };
    let figures = figures.map(|value| value.map_or_else(|| "–".to_owned(), told));
    [vec![name.to_owned()], figures.to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_of_different_ranges_count_alike() {
        let histogram = |from, to, counts: &[u64]| EvenHistogram {
            from,
            to,
            counts: counts.to_vec(),
        };
        let all = [
            histogram(0.0, 64.0, &[1; 64]),
            histogram(0.0, 32.0, &[500; 2]),
        ];
        let (edges, shares) = together(all.iter()).unwrap();
        assert_eq!((edges[0], edges[64]), (0.0, 64.0));
        assert!((shares.iter().sum::<f64>() - 100.0).abs() < 1e-9);
        assert!(shares[5] > 2.0 && shares[50] < 1.0);
        assert!(together([].into_iter()).is_none());
    }
}
