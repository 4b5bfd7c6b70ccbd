//! Labels on another side of the body than in most cases.

use std::collections::BTreeMap;

use super::case::{Cohort, Measured};
use super::findings::{Finding, FindingKind, VoxelPosition};
use super::labels::Centroid;

/// Least offset of a label from the grid's middle, or of two labels from each other, as a fraction of half the grid's
/// width.
const LEAST_OFFSET: f64 = 0.1;
/// Fraction of the cases that have to agree about the side, including those with the label near the middle. One
/// disagreeing case is not counted, so that the rule also applies to few cases.
const AGREEMENT: f64 = 0.9;
/// Least number of agreeing cases.
const LEAST_CASES: usize = 5;

/// What is compared: a label with the grid's middle, or a label with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Label(u16),
    Pair(u16, u16),
}

/// How far to the right a label lies in a case.
struct Offset {
    position: usize,
    /// Fraction of half the grid's width, positive to the right.
    right: f64,
}

/// Finds cases in which a label lies clearly on the left while it lies clearly on the right in nearly all others, or
/// the other way round. The reference is the middle of the image, or another label, which is independent of the field
/// of view.
pub(super) fn compare(cohort: &Cohort) -> Vec<Finding> {
    let mut offsets: BTreeMap<What, Vec<Offset>> = BTreeMap::new();
    for (&position, measured) in cohort {
        for (what, right) in offsets_of(measured) {
            let offset = Offset { position, right };
            offsets.entry(what).or_default().push(offset);
        }
    }
    let mut labels_of: BTreeMap<usize, (Vec<u16>, String)> = BTreeMap::new();
    for (what, offsets) in &offsets {
        let beyond = |side: f64| {
            let side = offsets
                .iter()
                .filter(move |offset| side * offset.right >= LEAST_OFFSET);
            side.collect::<Vec<_>>()
        };
        let (right, left) = (beyond(1.0), beyond(-1.0));
        let (usual, odd) = if right.len() >= left.len() {
            (right, left)
        } else {
            (left, right)
        };
        let needed = AGREEMENT * (offsets.len() - odd.len().min(1)) as f64;
        if usual.len() < LEAST_CASES || (usual.len() as f64) < needed {
            continue;
        }
        for odd in odd {
            let (found, expected) = if odd.right > 0.0 {
                ("right", "left")
            } else {
                ("left", "right")
            };
            let text = match what {
                What::Label(label) => format!("label {label} lies on the {found}"),
                What::Pair(label, other) => {
                    format!("label {label} lies to the {found} of label {other}")
                }
            };
            let text = format!(
                "{text}, on the {expected} in {} of {} cases",
                usual.len(),
                offsets.len()
            );
            let entry = labels_of.entry(odd.position).or_insert((Vec::new(), text));
            match *what {
                What::Label(label) => entry.0.push(label),
                What::Pair(label, other) => entry.0.extend([label, other]),
            }
        }
    }
    let finding = |(position, (mut labels, message)): (usize, (Vec<u16>, String))| {
        labels.sort_unstable();
        labels.dedup();
        let Measured { stats, facts, .. } = &cohort[&position];
        let centroid = facts
            .centroids
            .iter()
            .find(|centroid| labels.contains(&centroid.label));
        let file = stats.label_filepath.clone();
        Finding {
            files: file.iter().cloned().collect(),
            position: file.zip(centroid).map(|(file, centroid)| VoxelPosition {
                file,
                voxel: centroid.voxel.map(|index| index.round() as usize),
            }),
            labels,
            ..Finding::about(&stats.case, FindingKind::LeftRightDiffers, message)
        }
    };
    labels_of.into_iter().map(finding).collect()
}

/// Offsets of every label, and of every pair of neighboring labels, of a case.
fn offsets_of(measured: &Measured) -> Vec<(What, f64)> {
    let [left, right] = measured.facts.right_mm;
    let (middle, half) = ((left + right) / 2.0, (right - left) / 2.0);
    if half <= 0.0 {
        return Vec::new();
    }
    let centroids = &measured.facts.centroids;
    let at = |centroid: &Centroid| centroid.right_mm;
    let single = centroids
        .iter()
        .map(|centroid| (What::Label(centroid.label), (at(centroid) - middle) / half));
    let pair = |pair: &[Centroid]| {
        let what = What::Pair(pair[0].label, pair[1].label);
        (what, (at(&pair[0]) - at(&pair[1])) / half)
    };
    single.chain(centroids.windows(2).map(pair)).collect()
}
