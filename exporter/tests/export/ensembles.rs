//! Choice of runs, their weights, and the record in the manifest.

use std::fs;
use std::path::Path;

use crate::work_dir::{destination, work_dir, write_named_run, write_run_on};
use vesal_bundle::manifest::{EnsembleRecord, Manifest, MemberProvenance, SelectionRule};
use vesal_engine::{Device, EngineOptions, verify};
use vesal_exporter::package::{PackageError, package};
use vesal_exporter::selection::{RunChoice, SelectionError, SelectionOptions};
use vesal_volume::postprocess::Combine;

/// Three folds of Dice 0.75, 0.5 and 0.875, and a second run of fold 1 with 0.625.
fn runs() -> tempfile::TempDir {
    let work = work_dir(&[0]);
    write_named_run(work.path(), "segresnet_1", 1, 0.5);
    write_named_run(work.path(), "segresnet_1_long", 1, 0.625);
    write_named_run(work.path(), "segresnet_2", 2, 0.875);
    work
}

fn exported(work: &Path, options: &SelectionOptions) -> Result<Manifest, PackageError> {
    let output = tempfile::tempdir().unwrap();
    let destination = destination(output.path().join("bundle"));
    let assembled = package(work, options, None, &destination, &mut |_| {})?;
    let options = EngineOptions {
        device: Device::Cpu,
        ..Default::default()
    };
    assert!(verify(&assembled.bundle, &options).unwrap().passed());
    Ok(assembled.bundle.manifest().clone())
}

/// File, Dice and weight of every member.
fn members(manifest: &Manifest) -> Vec<(&str, f64, f64)> {
    let facts = manifest.members.iter().map(|member| {
        let MemberProvenance::Trained { score, .. } = &member.provenance else {
            panic!("{member:?}")
        };
        (member.file.as_str(), score.mean_dice, member.weight)
    });
    facts.collect()
}

fn choice(text: &str) -> SelectionOptions {
    SelectionOptions {
        choice: text.parse().unwrap(),
        ..SelectionOptions::default()
    }
}

#[test]
fn the_best_run_of_each_fold_is_the_default() {
    let manifest = exported(runs().path(), &SelectionOptions::default()).unwrap();
    assert_eq!(
        members(&manifest),
        [
            ("members/fold-0.onnx", 0.75, 1.),
            ("members/fold-1.onnx", 0.625, 1.),
            ("members/fold-2.onnx", 0.875, 1.)
        ]
    );
    let EnsembleRecord {
        combine,
        selection,
        out_of_fold,
    } = manifest.ensemble;
    assert_eq!(combine, Combine::Mean);
    assert_eq!(
        selection.reason,
        "the best run of each of 3 folds by mean Dice, of 4 runs"
    );
    let score = out_of_fold.unwrap();
    assert_eq!((score.mean_dice, score.cases), (0.75, 3));
    assert_eq!(score.dice_by_label["class 2"], None);
}

#[test]
fn the_best_runs_may_be_of_one_fold_and_then_have_no_score_together() {
    let work = runs();
    let manifest = exported(work.path(), &choice("best-n:2")).unwrap();
    let files: Vec<_> = members(&manifest).iter().map(|member| member.0).collect();
    assert_eq!(files, ["members/fold-0.onnx", "members/fold-2.onnx"]);
    assert_eq!(manifest.ensemble.out_of_fold.unwrap().mean_dice, 0.8125);

    let manifest = exported(work.path(), &choice("all")).unwrap();
    let found = members(&manifest);
    assert_eq!(found[2], ("members/fold-1-2.onnx", 0.625, 1.));
    assert_eq!(found.len(), 4);
    assert_eq!(manifest.ensemble.selection.rule, SelectionRule::All);
    assert_eq!(manifest.ensemble.out_of_fold, None);

    let error = exported(work.path(), &choice("best-n:5")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "4 runs are finished, expected at least the 5 of `best-n:5`"
    );
}

#[test]
fn runs_of_all_algorithms_are_chosen_among() {
    let work = runs();
    for (fold, dice) in [(0, 0.5), (1, 0.6875), (2, 0.25)] {
        write_named_run(work.path(), &format!("segresnet2d_{fold}"), fold, dice);
    }
    let algorithms = |choice_text: &str| {
        let manifest = exported(work.path(), &choice(choice_text)).unwrap();
        let facts = manifest.members.iter().map(|member| {
            let MemberProvenance::Trained {
                algorithm, fold, ..
            } = &member.provenance
            else {
                panic!("{member:?}")
            };
            (algorithm.clone(), *fold)
        });
        (facts.collect::<Vec<_>>(), manifest.ensemble)
    };
    let named = |runs: &[(&str, usize)]| -> Vec<(String, usize)> {
        let owned = runs.iter().map(|&(name, fold)| (name.to_owned(), fold));
        owned.collect()
    };
    let (members, ensemble) = algorithms("best-by-fold");
    let expected = [("segresnet", 0), ("segresnet2d", 1), ("segresnet", 2)];
    assert_eq!(members, named(&expected));
    assert_eq!(ensemble.out_of_fold.unwrap().cases, 3);
    let (members, _) = algorithms("best-n:2");
    assert_eq!(members, named(&[("segresnet", 0), ("segresnet", 2)]));
    // Several of one fold.
    let (members, ensemble) = algorithms("best-n:4");
    let expected = [
        ("segresnet", 0),
        ("segresnet2d", 1),
        ("segresnet", 1),
        ("segresnet", 2),
    ];
    let mut found = members.clone();
    found.sort();
    let mut expected = named(&expected);
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(ensemble.out_of_fold, None);
}

#[test]
fn scores_of_different_cases_are_told() {
    let told = |work: &Path, options: &SelectionOptions| {
        let output = tempfile::tempdir().unwrap();
        let destination = destination(output.path().join("bundle"));
        let mut told = Vec::new();
        package(work, options, None, &destination, &mut |line| {
            told.push(line.to_owned());
        })
        .unwrap();
        let is_told = |line: &String| line.contains("different cases");
        told.into_iter().filter(is_told).collect::<Vec<_>>()
    };
    let work = work_dir(&[0, 1]);
    write_named_run(work.path(), "segresnet2d_0", 0, 0.5);
    assert_eq!(told(work.path(), &choice("best-by-fold")), [""; 0]);
    write_run_on(work.path(), "segresnet2d_1", 1, 0.5, "another");
    let lines = told(work.path(), &choice("best-by-fold"));
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("fold 1: "), "{lines:?}");
    assert_eq!(told(work.path(), &choice("all")), [""; 0]);
}

#[test]
fn a_missing_fold_is_named_and_left_out_only_when_asked() {
    let work = runs();
    fs::write(
        work.path().join("work.json"),
        r#"{"format": "vesal-work", "format_version": 1, "folds": [0, 1, 2, 3, 4]}"#,
    )
    .unwrap();
    for rule in ["best-by-fold", "best-n:2", "all"] {
        let error = exported(work.path(), &choice(rule)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "folds [3, 4] have no finished run; finished are [0, 1, 2]"
        );
        assert!(error.hint().unwrap().contains("--allow-missing-folds"));
    }
    let options = SelectionOptions {
        allow_missing_folds: true,
        ..SelectionOptions::default()
    };
    let manifest = exported(work.path(), &options).unwrap();
    assert_eq!(manifest.members.len(), 3);
    assert_eq!(manifest.ensemble.selection.missing_folds, [3, 4]);
}

#[test]
fn a_file_gives_runs_weights_and_combination() {
    let work = runs();
    let file = work.path().join("chosen.yaml");
    let text = "combine: vote\nmembers:\n  - {fold: 1, weight: 2}\n  - run: segresnet_0\n";
    fs::write(&file, text).unwrap();
    let mut options = SelectionOptions {
        choice: RunChoice::File(file.clone()),
        ..SelectionOptions::default()
    };
    let manifest = exported(work.path(), &options).unwrap();
    assert_eq!(
        members(&manifest),
        [
            ("members/fold-1.onnx", 0.625, 2.),
            ("members/fold-0.onnx", 0.75, 1.)
        ]
    );
    assert_eq!(manifest.ensemble.combine, Combine::Vote);
    assert_eq!(manifest.ensemble.selection.rule, SelectionRule::Custom);
    options.combine = Some(Combine::Mean);
    let manifest = exported(work.path(), &options).unwrap();
    assert_eq!(manifest.ensemble.combine, Combine::Mean);

    let nested = format!("members: {}", "[".repeat(65));
    for (text, expected) in [
        (nested.as_str(), "line 1 has more than 64 lists"),
        ("members: []", "it has no members"),
        ("members: [{weight: 1}]", "member 0 has neither"),
        (
            "members: [{run: segresnet_0, fold: 0}]",
            "member 0 has both",
        ),
        ("members: [{fold: 0, weight: 0}]", "member 0 has weight 0,"),
        ("members: [{fold: 0, weight: .inf}]", "weight inf"),
        (
            "members: [{fold: 0}, {run: segresnet_3}]",
            "member 1 is the run `segresnet_3`, expected a finished one: segresnet_0, segresnet_1, segresnet_1_long, segresnet_2",
        ),
        (
            "members: [{fold: 7}]",
            "member 0 is the run of fold 7, expected one of the finished folds [0, 1, 2]",
        ),
        (
            "members: [{fold: 1}, {run: segresnet_1_long}]",
            "members 0 and 1 are both the run `segresnet_1_long`",
        ),
        ("members: [{fold: 1, wieght: 2}]", "it does not follow"),
        ("combine: sum\nmembers: [{fold: 1}]", "it does not follow"),
        ("- 1", "it does not follow"),
    ] {
        fs::write(&file, text).unwrap();
        let error = exported(work.path(), &options).unwrap_err();
        let PackageError::Selection(SelectionError::File { source, .. }) = error else {
            panic!("{error}")
        };
        let message = source.to_string();
        assert!(message.contains(expected), "{message}");
    }
}
