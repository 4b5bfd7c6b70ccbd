//! Findings that only a comparison of cases shows.

use std::collections::{BTreeMap, BTreeSet};

use vesal_cases::datalist::Case;
use vesal_io::image::DataType;

use super::case::{Cohort, Measured};
use super::case_outliers;
use super::channel::Digest;
use super::error::CaseAnalysisError;
use super::findings::{Finding, FindingKind};
use super::options::AnalysisOptions;
use super::sides;

/// Fraction of the cases from which on a voxel type counts as the usual one.
const USUAL_TYPE: f64 = 0.9;

/// Removes the cases with another number of channels than most, and those whose voxels occur in another fold.
pub(super) fn reject(cases: &[Case], cohort: &mut Cohort) -> Vec<(usize, CaseAnalysisError)> {
    let mut rejected = Vec::new();
    let count = |measured: &Measured| measured.stats.image_stats.channels;
    let expected = most_common(cohort.values().map(count)).map_or(1, |(channels, _)| channels);
    for (&position, measured) in cohort.iter() {
        let found = count(measured);
        if found != expected {
            rejected.push((position, CaseAnalysisError::Channels { found, expected }));
        }
    }
    for (position, _) in &rejected {
        cohort.remove(position);
    }
    let mut first_of: BTreeMap<&[Digest], usize> = BTreeMap::new();
    let mut in_other_fold = Vec::new();
    for (&position, measured) in cohort.iter() {
        let first = *first_of.entry(&measured.facts.digests).or_insert(position);
        if let (Some(fold), Some(first_fold)) = (cases[position].fold, cases[first].fold)
            && fold != first_fold
        {
            let reason = CaseAnalysisError::OtherFold {
                files: cases[position].images.clone(),
                fold,
                first: cases[first].id.clone(),
                first_fold,
            };
            in_other_fold.push((position, reason));
        }
    }
    for (position, _) in &in_other_fold {
        cohort.remove(position);
    }
    rejected.append(&mut in_other_fold);
    rejected
}

/// Findings about cases that differ from the others.
pub(super) fn warnings(cases: &[Case], cohort: &Cohort, options: &AnalysisOptions) -> Vec<Finding> {
    let mut found = duplicates(cases, cohort);
    found.extend(patients(cases, cohort));
    found.extend(empty_labels(cohort));
    found.extend(absent_labels(cohort, options));
    found.extend(labels_of_one_fold(cases, cohort, options));
    found.extend(orientations(cohort));
    found.extend(sides::compare(cohort));
    found.extend(case_outliers::find(cohort));
    found.extend(voxel_types(cohort));
    found
}

/// The most frequent value and its count; among equally frequent ones the smallest.
fn most_common<T: Ord>(values: impl Iterator<Item = T>) -> Option<(T, usize)> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    counts
        .into_iter()
        .min_by_key(|&(_, count)| std::cmp::Reverse(count))
}

/// Channels with the same voxels, within a case or in different cases.
fn duplicates(cases: &[Case], cohort: &Cohort) -> Vec<Finding> {
    let mut first_of: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for (&position, measured) in cohort {
        let case = &cases[position];
        let digests = &measured.facts.digests;
        let distinct: BTreeSet<_> = digests.iter().collect();
        if distinct.len() < digests.len() {
            let (all, different) = (digests.len(), distinct.len());
            let message = format!("only {different} of its {all} channels differ from each other");
            found.push(Finding {
                files: case.images.clone(),
                ..Finding::about(&case.id, FindingKind::DuplicateImages, message)
            });
        }
        let first = digests
            .iter()
            .map(|digest| *first_of.entry(*digest).or_insert(position))
            .find(|&first| first != position);
        if let Some(first) = first {
            let labels = if measured.facts.label_digest == cohort[&first].facts.label_digest {
                "their label maps are equal"
            } else {
                "their label maps differ"
            };
            let other = &cases[first];
            let message = format!("it has the voxels of case `{}`; {labels}", other.id);
            found.push(Finding {
                cases: vec![case.id.clone(), other.id.clone()],
                files: case.images.iter().chain(&other.images).cloned().collect(),
                ..Finding::about(&case.id, FindingKind::DuplicateImages, message)
            });
        }
    }
    found
}

fn patients(cases: &[Case], cohort: &Cohort) -> Vec<Finding> {
    let mut of_patient: BTreeMap<&String, Vec<&Case>> = BTreeMap::new();
    for case in cohort.keys().map(|&position| &cases[position]) {
        if let Some(patient) = &case.patient {
            of_patient.entry(patient).or_default().push(case);
        }
    }
    let split = |cases: Vec<&Case>| {
        let folds: BTreeSet<usize> = cases.iter().filter_map(|case| case.fold).collect();
        let ids = cases.iter().map(|case| case.id.clone()).collect();
        let message = format!("cases of one patient are in the folds {folds:?}");
        (folds.len() > 1).then(|| Finding {
            cases: ids,
            ..Finding::about_dataset(FindingKind::PatientInTwoFolds, message)
        })
    };
    of_patient.into_values().filter_map(split).collect()
}

fn empty_labels(cohort: &Cohort) -> Vec<Finding> {
    let is_empty = |measured: &&Measured| {
        let labels = measured.stats.label_stats.as_ref();
        labels.is_some_and(|stats| stats.labels == [0])
    };
    let empty = cohort.values().filter(is_empty);
    empty
        .map(|measured| {
            let message = "its label map has background only".to_owned();
            Finding {
                files: measured.stats.label_filepath.iter().cloned().collect(),
                ..Finding::about(&measured.stats.case, FindingKind::EmptyLabel, message)
            }
        })
        .collect()
}

fn absent_labels(cohort: &Cohort, options: &AnalysisOptions) -> Option<Finding> {
    let mut labeled = false;
    let mut absent = options.labels.clone()?;
    for stats in cohort
        .values()
        .filter_map(|case| case.stats.label_stats.as_ref())
    {
        labeled = true;
        stats.labels.iter().for_each(|label| {
            absent.remove(label);
        });
    }
    let labels: Vec<u16> = absent.into_iter().collect();
    (labeled && !labels.is_empty()).then(|| {
        let message = format!("no case has the labels {labels:?}, which the task names");
        Finding {
            labels,
            ..Finding::about_dataset(FindingKind::LabelNeverOccurs, message)
        }
    })
}

/// Labels that only cases of one fold have, so that the training that holds them out never sees them.
fn labels_of_one_fold(cases: &[Case], cohort: &Cohort, options: &AnalysisOptions) -> Vec<Finding> {
    let mut folds_of: BTreeMap<u16, BTreeSet<Option<usize>>> = BTreeMap::new();
    for (&position, measured) in cohort {
        let labels = measured.stats.label_stats.iter();
        for &label in labels.flat_map(|stats| &stats.labels) {
            let folds = folds_of.entry(label).or_default();
            folds.insert(cases[position].fold);
        }
    }
    let is_class = |label: u16| match &options.labels {
        Some(named) => named.contains(&label),
        None => label > 0,
    };
    let mut labels_of: BTreeMap<usize, Vec<u16>> = BTreeMap::new();
    for (label, folds) in folds_of {
        let mut folds = folds.into_iter();
        if let (Some(Some(fold)), None) = (folds.next(), folds.next())
            && is_class(label)
        {
            labels_of.entry(fold).or_default().push(label);
        }
    }
    let finding = |(fold, labels): (usize, Vec<u16>)| {
        let message = format!("only cases of fold {fold} have the labels {labels:?}");
        Finding {
            labels,
            ..Finding::about_dataset(FindingKind::LabelInOneFold, message)
        }
    };
    labels_of.into_iter().map(finding).collect()
}

/// One finding for each orientation other than that of more than half of the cases.
fn orientations(cohort: &Cohort) -> Vec<Finding> {
    let codes = |measured: &Measured| measured.facts.orientation.to_string();
    let Some((usual, count)) = most_common(cohort.values().map(codes)) else {
        return Vec::new();
    };
    if 2 * count <= cohort.len() {
        return Vec::new();
    }
    let mut others: BTreeMap<String, Vec<&Measured>> = BTreeMap::new();
    for measured in cohort.values() {
        others.entry(codes(measured)).or_default().push(measured);
    }
    others.remove(&usual);
    let finding = |(found, cases): (String, Vec<&Measured>)| {
        let handed = if is_right_handed(&found) == is_right_handed(&usual) {
            ""
        } else {
            ", which is its mirror image as far as the order of voxels goes"
        };
        let message = format!(
            "axis codes are {found}, in {count} of {} cases {usual}{handed}",
            cohort.len()
        );
        Finding {
            cases: cases.iter().map(|case| case.stats.case.clone()).collect(),
            files: cases
                .iter()
                .flat_map(|case| case.stats.image_filepath.first())
                .cloned()
                .collect(),
            ..Finding::about_dataset(FindingKind::OrientationDiffers, message)
        }
    };
    others.into_iter().map(finding).collect()
}

/// Whether voxel axes of these codes form a right-handed system.
fn is_right_handed(codes: &str) -> bool {
    let axes: Vec<usize> = codes
        .chars()
        .filter_map(|code| {
            ["RL", "AP", "SI"]
                .iter()
                .position(|pair| pair.contains(code))
        })
        .collect();
    let reversed = codes.chars().filter(|code| "LPI".contains(*code)).count();
    let swapped = (0..axes.len())
        .flat_map(|a| (a + 1..axes.len()).map(move |b| (a, b)))
        .filter(|&(a, b)| axes[a] > axes[b])
        .count();
    (reversed + swapped) % 2 == 0
}

/// Cases stored in 8 bits where most are not, or the other way round.
fn voxel_types(cohort: &Cohort) -> Vec<Finding> {
    let in_8_bits =
        |measured: &Measured| matches!(measured.facts.data_type, DataType::U8 | DataType::I8);
    let Some((usual, count)) = most_common(cohort.values().map(in_8_bits)) else {
        return Vec::new();
    };
    if count == cohort.len() || (count as f64) < USUAL_TYPE * cohort.len() as f64 {
        return Vec::new();
    }
    let odd = cohort
        .values()
        .filter(|measured| in_8_bits(measured) != usual);
    odd.map(|measured| {
        let bits = if usual { "8 bits" } else { "more than 8 bits" };
        let message = format!(
            "its voxels are {}, in {count} of {} cases they have {bits}",
            measured.facts.data_type.name(),
            cohort.len()
        );
        measured.finding(FindingKind::UnusualVoxelType, message)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handedness_counts_swaps_and_reversals() {
        for (codes, right) in [
            ("RAS", true),
            ("LAS", false),
            ("LPS", true),
            ("ARS", false),
            ("ASR", true),
            ("ILA", true),
        ] {
            assert_eq!(is_right_handed(codes), right, "{codes}");
        }
    }

    #[test]
    fn of_equally_frequent_values_the_smaller_counts() {
        assert_eq!(most_common([2, 1, 2, 1].into_iter()), Some((1, 2)));
        assert_eq!(most_common([2, 1, 2].into_iter()), Some((2, 2)));
        assert_eq!(most_common(std::iter::empty::<u8>()), None);
    }
}
