//! Folds: which cases each run holds out.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use thiserror::Error;
use vesal_cases::datalist::Datalist;

use crate::rng::Rng;

/// Number of folds that are generated where the datalist has none.
const DEFAULT_FOLDS: usize = 5;

/// Origin of the folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoldSource {
    /// From the datalist's `fold` numbers.
    Given,
    /// From the datalist's `validation` list: one run, fold 0.
    ValidationList,
    /// From a seeded shuffle.
    Seeded,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    pub source: FoldSource,
    /// Folds to train, in ascending order.
    pub runs: Vec<usize>,
}

/// Why the cases cannot be assigned to folds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FoldError {
    /// Some cases have a fold and others do not.
    #[error("case `{without}` of the datalist has no `fold`, expected one because `{with}` has")]
    Partial {
        /// A case with a fold.
        with: String,
        without: String,
    },
    /// A fold below the highest one has no cases.
    #[error("the datalist has no case of fold {missing}, expected every fold from 0 to {highest}")]
    Gap {
        /// The fold without cases.
        missing: usize,
        highest: usize,
    },
    /// There is a single fold, which leaves nothing to train on.
    #[error("all cases of the datalist have fold 0, expected at least two folds")]
    Single,
    /// More folds are requested than the datalist has.
    #[error("{wanted} folds are wanted, the datalist gives {given}")]
    TooMany {
        wanted: usize,
        /// Number of folds in the datalist.
        given: usize,
    },
    /// The cases cannot be split into this number of folds.
    #[error(
        "{cases} cases cannot be split into {wanted} folds, expected 2 folds or more, and no more than cases"
    )]
    Split { cases: usize, wanted: usize },
    /// There are fewer patients than folds.
    #[error(
        "{patients} patients cannot be split into {wanted} folds, expected no more folds than patients"
    )]
    Patients { patients: usize, wanted: usize },
}

impl FoldError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Partial { .. } | Self::Gap { .. } | Self::Single => {
                Some("take out every `fold` to have the cases split at random")
            }
            Self::Split { wanted: 1, .. } => Some("`--only-folds 0` trains one fold of several"),
            Self::Patients { .. } => Some("ask for fewer folds with `--folds K`"),
            Self::TooMany { .. } | Self::Split { .. } => None,
        }
    }
}

/// Assigns a fold to every training case, and moves validation cases to the training cases.
///
/// **Definition**: fold numbers of the datalist are kept, and `wanted` limits how many of the folds are trained; the
/// validation list is then ignored, as in Auto3DSeg. A datalist without folds but with a `validation` list makes that
/// list fold 0 and the training list fold 1, and fold 0 is the only run. Otherwise the cases are split into `wanted`
/// folds (5 by default) by a shuffle that depends on `seed` and the number of cases alone. Without patients, the sizes
/// of folds differ by at most one; where the datalist names patients, all cases of a patient are in the same fold.
///
/// **Source**: MONAI 1.6.1 `AutoRunner.inspect_datalist_folds`; its split is scikit-learn's `KFold`, whose shuffle is
/// not reproduced here.
///
/// **Errors**: [`FoldError`]; the datalist is then unchanged.
pub fn assign(
    datalist: &mut Datalist,
    wanted: Option<usize>,
    seed: u64,
) -> Result<Folds, FoldError> {
    if let Some(with) = datalist.training.iter().find(|case| case.fold.is_some()) {
        let with = with.id.clone();
        return given(datalist, wanted, with);
    }
    if !datalist.validation.is_empty() {
        if let Some(wanted) = wanted.filter(|&wanted| wanted != 1) {
            return Err(FoldError::TooMany { wanted, given: 1 });
        }
        datalist
            .training
            .iter_mut()
            .for_each(|case| case.fold = Some(1));
        datalist
            .validation
            .iter_mut()
            .for_each(|case| case.fold = Some(0));
        datalist.training.append(&mut datalist.validation);
        return Ok(Folds {
            source: FoldSource::ValidationList,
            runs: vec![0],
        });
    }
    let (cases, wanted) = (datalist.training.len(), wanted.unwrap_or(DEFAULT_FOLDS));
    if wanted < 2 || wanted > cases {
        return Err(FoldError::Split { cases, wanted });
    }
    let assigned = match patients(datalist) {
        Some(patients) => split_patients(&patients, wanted, seed)?,
        None => split(cases, wanted, seed),
    };
    for (case, fold) in datalist.training.iter_mut().zip(assigned) {
        case.fold = Some(fold);
    }
    Ok(Folds {
        source: FoldSource::Seeded,
        runs: (0..wanted).collect(),
    })
}

fn given(datalist: &Datalist, wanted: Option<usize>, with: String) -> Result<Folds, FoldError> {
    if let Some(without) = datalist.training.iter().find(|case| case.fold.is_none()) {
        return Err(FoldError::Partial {
            with,
            without: without.id.clone(),
        });
    }
    let mut present: Vec<usize> = datalist
        .training
        .iter()
        .filter_map(|case| case.fold)
        .collect();
    present.sort_unstable();
    present.dedup();
    let highest = present.last().copied().unwrap_or(0);
    if let Some((missing, _)) = present
        .iter()
        .enumerate()
        .find(|(expected, fold)| expected != *fold)
    {
        return Err(FoldError::Gap { missing, highest });
    }
    let given = present.len();
    match wanted {
        _ if given < 2 => Err(FoldError::Single),
        Some(wanted) if wanted == 0 || wanted > given => Err(FoldError::TooMany { wanted, given }),
        wanted => Ok(Folds {
            source: FoldSource::Given,
            runs: (0..wanted.unwrap_or(given)).collect(),
        }),
    }
}

/// Cases grouped by patient, where a case without a patient is a group of its own; `None` where no patient is given.
fn patients(datalist: &Datalist) -> Option<Vec<Vec<usize>>> {
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
fn split_patients(
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
fn split(cases: usize, folds: usize, seed: u64) -> Vec<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use vesal_cases::datalist::Case;

    fn cases(folds: &[Option<usize>]) -> Vec<Case> {
        let case = |(index, &fold): (usize, &Option<usize>)| Case {
            id: format!("case_{index}"),
            images: vec![format!("{index}.nii")],
            further: Vec::new(),
            label: None,
            fold,
            patient: None,
        };
        folds.iter().enumerate().map(case).collect()
    }

    fn with_folds(folds: &[Option<usize>], wanted: Option<usize>) -> Result<Folds, FoldError> {
        assign(
            &mut Datalist {
                training: cases(folds),
                ..Default::default()
            },
            wanted,
            0,
        )
    }

    #[test]
    fn given_folds_stand_and_have_to_be_contiguous() {
        let folds = with_folds(&[Some(1), Some(0), Some(2)], None).unwrap();
        assert_eq!(
            folds,
            Folds {
                source: FoldSource::Given,
                runs: vec![0, 1, 2]
            }
        );
        assert_eq!(
            with_folds(&[Some(1), Some(0), Some(2)], Some(1))
                .unwrap()
                .runs,
            [0]
        );
        assert_eq!(
            with_folds(&[Some(0), Some(2)], None),
            Err(FoldError::Gap {
                missing: 1,
                highest: 2
            })
        );
        assert_eq!(
            with_folds(&[Some(1), Some(2)], None),
            Err(FoldError::Gap {
                missing: 0,
                highest: 2
            })
        );
        assert_eq!(
            with_folds(&[Some(0), Some(0)], None),
            Err(FoldError::Single)
        );
        assert!(matches!(
            with_folds(&[Some(0), None], None),
            Err(FoldError::Partial { .. })
        ));
        let found = with_folds(&[Some(0), Some(1)], Some(3));
        assert_eq!(
            found,
            Err(FoldError::TooMany {
                wanted: 3,
                given: 2
            })
        );
    }

    #[test]
    fn a_patient_is_in_one_fold() {
        let mut datalist = Datalist {
            training: cases(&[None; 12]),
            ..Default::default()
        };
        let of = |index: usize| ["a", "b", "a", "c", "d", "d", "d", "e", "f", "g"].get(index);
        for (index, case) in datalist.training.iter_mut().enumerate() {
            case.patient = of(index).map(|&patient| patient.to_owned());
        }
        let folds = assign(&mut datalist, Some(3), 0).unwrap();
        assert_eq!(
            (folds.source, folds.runs),
            (FoldSource::Seeded, vec![0, 1, 2])
        );
        let found: Vec<_> = datalist
            .training
            .iter()
            .filter_map(|case| case.fold)
            .collect();
        assert_eq!(
            (found[0], found[4], found[5]),
            (found[2], found[5], found[6])
        );
        let sizes = [0, 1, 2].map(|fold| found.iter().filter(|&&found| found == fold).count());
        assert_eq!(sizes, [4; 3]);
        datalist.training.iter_mut().for_each(|case| {
            case.fold = None;
            case.patient = Some("x".to_owned());
        });
        let error = assign(&mut datalist, Some(2), 0).unwrap_err();
        assert_eq!(
            error,
            FoldError::Patients {
                patients: 1,
                wanted: 2
            }
        );
    }

    #[test]
    fn a_validation_list_is_fold_0() {
        let mut datalist = Datalist {
            training: cases(&[None; 3]),
            validation: cases(&[None; 2]),
            ..Default::default()
        };
        let folds = assign(&mut datalist, None, 0).unwrap();
        assert_eq!(
            folds,
            Folds {
                source: FoldSource::ValidationList,
                runs: vec![0]
            }
        );
        let found: Vec<_> = datalist
            .training
            .iter()
            .filter_map(|case| case.fold)
            .collect();
        assert_eq!(found, [1, 1, 1, 0, 0]);
        assert!(datalist.validation.is_empty());
    }

    #[test]
    fn seeded_folds_are_even_and_repeatable() {
        let folds = split(23, 5, 0);
        let sizes: Vec<_> = (0..5)
            .map(|fold| folds.iter().filter(|&&f| f == fold).count())
            .collect();
        assert_eq!(sizes, [5, 5, 5, 4, 4]);
        assert_eq!(folds, split(23, 5, 0));
        assert_ne!(folds, split(23, 5, 1));
        let mut datalist = Datalist {
            training: cases(&[None; 23]),
            ..Default::default()
        };
        assert_eq!(
            assign(&mut datalist, None, 0).unwrap().runs,
            [0, 1, 2, 3, 4]
        );
        let found: Vec<_> = datalist
            .training
            .iter()
            .filter_map(|case| case.fold)
            .collect();
        assert_eq!(found, folds);
        assert_eq!(
            with_folds(&[None; 3], None),
            Err(FoldError::Split {
                cases: 3,
                wanted: 5
            })
        );
        assert_eq!(
            with_folds(&[None; 3], Some(1)),
            Err(FoldError::Split {
                cases: 3,
                wanted: 1
            })
        );
    }
}
