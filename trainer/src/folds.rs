//! Folds: which cases each run holds out.

mod error;
mod seeded;

pub use error::FoldError;

use vesal_cases::datalist::Datalist;

use seeded::{patients, split, split_patients};

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

/// Assigns a fold to every training case, and moves validation cases to the training cases.
///
/// **Definition**: fold numbers of the datalist are kept, and `wanted` limits how many of the folds are trained; the
/// validation list is then ignored, as in Auto3DSeg. A datalist without folds but with a `validation` list makes that
/// list fold 0 and the training list fold 1, and fold 0 is the only run. Otherwise the cases are split into `wanted`
/// folds by a shuffle that depends on `seed` and the number of cases alone: by default 5, or as many as there are cases or
/// patients. Of these, 1 wanted fold is the first. Without patients, the sizes of folds differ by at most one; where the
/// datalist names patients, all cases of a patient are in the same fold.
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
    let (cases, patients) = (datalist.training.len(), patients(datalist));
    let most = patients.as_ref().map_or(cases, Vec::len);
    let parts = match wanted {
        None | Some(1) => DEFAULT_FOLDS.min(most).max(2),
        Some(wanted) => wanted,
    };
    if parts < 2 || parts > cases {
        return Err(FoldError::Split {
            cases,
            wanted: parts,
        });
    }
    let assigned = match patients {
        Some(patients) => split_patients(&patients, parts, seed)?,
        None => split(cases, parts, seed),
    };
    for (case, fold) in datalist.training.iter_mut().zip(assigned) {
        case.fold = Some(fold);
    }
    Ok(Folds {
        source: FoldSource::Seeded,
        runs: (0..wanted.unwrap_or(parts)).collect(),
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

#[cfg(test)]
mod tests;
