//! Random splits of cases into folds.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use vesal_cases::datalist::Datalist;

use super::error::FoldError;
use crate::rng::Rng;

/// Cases grouped by patient, where a case without a patient is a group of its own; `None` where no patient is given.
pub(super) fn patients(datalist: &Datalist) -> Option<Vec<Vec<usize>>> {
    let mut groups: BTreeMap<(Option<&str>, usize), Vec<usize>> = BTreeMap::new();
    for (position, case) in datalist.training.iter().enumerate() {
        let patient = case.patient.as_deref();
        let own = if patient.is_some() { 0 } else { position };
        groups.entry((patient, own)).or_default().push(position);
    }
    let given = groups.keys().any(|(patient, _)| patient.is_some());
    given.then(|| groups.into_values().collect())
}

/// The fold of each case, with all cases of a patient in one fold. Patients are shuffled and sorted by descending
/// number of cases; each goes to the fold with the fewest cases so far.
pub(super) fn split_patients(
    patients: &[Vec<usize>],
    folds: usize,
    seed: u64,
) -> Result<Vec<usize>, FoldError> {
    if patients.len() < folds {
        return Err(FoldError::Patients {
            patients: patients.len(),
            wanted: folds,
        });
    }
    let mut order: Vec<usize> = (0..patients.len()).collect();
    Rng::seeded(seed).shuffle(&mut order);
    order.sort_by_key(|&patient| Reverse(patients[patient].len()));
    let mut assigned = vec![0; patients.iter().map(Vec::len).sum()];
    let mut sizes = vec![0; folds];
    for patient in order {
        let fold = (0..folds).min_by_key(|&fold| sizes[fold]).unwrap_or(0);
        sizes[fold] += patients[patient].len();
        for &case in &patients[patient] {
            assigned[case] = fold;
        }
    }
    Ok(assigned)
}

/// The fold of each of `cases` cases: a shuffled list in `folds` parts, of which the first ones may be longer by one.
pub(super) fn split(cases: usize, folds: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..cases).collect();
    Rng::seeded(seed).shuffle(&mut order);
    let mut assigned = vec![0; cases];
    let (least, longer) = (cases / folds, cases % folds);
    let mut shuffled = order.into_iter();
    for fold in 0..folds {
        for case in shuffled.by_ref().take(least + usize::from(fold < longer)) {
            assigned[case] = fold;
        }
    }
    assigned
}
