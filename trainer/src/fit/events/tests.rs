use std::collections::BTreeMap;
use std::time::Duration;

use vesal_bundle::run_record::Score;

use super::*;

fn step(epoch: usize, step: usize) -> StepReport {
    StepReport {
        epoch,
        step,
        loss: 0.5,
        learning_rate: 2e-4,
        duration: Duration::from_millis(1500),
        data_wait: Duration::ZERO,
    }
}

fn validation(epoch: usize) -> ValidationReport {
    let dice_by_label = BTreeMap::from([("a".to_owned(), Some(0.75)), ("b".to_owned(), None)]);
    ValidationReport {
        score: Score {
            epoch,
            mean_dice: 0.75,
            dice_by_label,
            cases: 3,
        },
        cases: Vec::new(),
        best: true,
        duration: Duration::ZERO,
    }
}

/// Step and first tag of every event in all files.
fn found(run_dir: &Path) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    for path in files(run_dir).unwrap() {
        let bytes = std::fs::read(path).unwrap();
        let mut rest = bytes.as_slice();
        while let Some((data, length)) = record::decode(rest) {
            let event = Event::decode(data).unwrap();
            let values = event
                .summary
                .map(|summary| summary.value)
                .unwrap_or_default();
            found.extend(values.first().map(|value| (event.step, value.tag.clone())));
            rest = &rest[length..];
        }
        assert!(rest.is_empty());
    }
    found
}

#[test]
fn what_comes_again_is_cut_off_and_no_step_is_there_twice() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = Progress {
        steps: 0,
        validated_steps: 0,
    };
    let mut events = Events::open(folder.path(), 2, fresh).unwrap();
    for report in [step(1, 1), step(1, 2)] {
        events.step(&report).unwrap();
    }
    events.validation(&validation(1)).unwrap();
    events.step(&step(2, 1)).unwrap();
    // A process was killed while it wrote.
    let half = record::encode(b"half");
    events.file.write_all(&half[..half.len() - 3]).unwrap();

    // The training was resumed before the first validation.
    let progress = Progress {
        steps: 2,
        validated_steps: 0,
    };
    let mut events = Events::open(folder.path(), 2, progress).unwrap();
    events.validation(&validation(1)).unwrap();
    events.step(&step(2, 1)).unwrap();
    let train = |step| (step, "train/loss".to_owned());
    let expected = [train(1), train(2), (2, "val/acc".to_owned()), train(3)];
    assert_eq!(found(folder.path()), expected);

    // The training was resumed after the first validation.
    let progress = Progress {
        steps: 2,
        validated_steps: 2,
    };
    Events::open(folder.path(), 2, progress).unwrap();
    assert_eq!(found(folder.path()), expected[..3]);
    remove(folder.path()).unwrap();
    assert!(found(folder.path()).is_empty());
}
