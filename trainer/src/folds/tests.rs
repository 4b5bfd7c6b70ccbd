//! Tests of the assignment of folds.

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
}

#[test]
fn few_cases_make_fewer_folds_and_one_fold_is_the_first() {
    let runs = |cases: &[Option<usize>], wanted| with_folds(cases, wanted).unwrap().runs;
    assert_eq!(runs(&[None; 3], None), [0, 1, 2]);
    assert_eq!(runs(&[None; 9], Some(1)), [0]);
    let mut datalist = Datalist {
        training: cases(&[None; 9]),
        ..Default::default()
    };
    assign(&mut datalist, Some(1), 0).unwrap();
    let found = datalist.training.iter().filter_map(|case| case.fold);
    assert_eq!(found.max(), Some(4), "the others stay for training");
    for case in &mut datalist.training {
        case.fold = None;
        case.patient = Some(case.id.len().min(1).to_string());
    }
    datalist.training[0].patient = Some("other".to_owned());
    assert_eq!(assign(&mut datalist, None, 0).unwrap().runs, [0, 1]);
    for (found, wanted, told) in [
        (1, None, 2),
        (1, Some(1), 2),
        (3, Some(4), 4),
        (3, Some(0), 0),
    ] {
        let error = with_folds(&vec![None; found], wanted).unwrap_err();
        let expected = FoldError::Split {
            cases: found,
            wanted: told,
        };
        assert_eq!(error, expected);
    }
}
