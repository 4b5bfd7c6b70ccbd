//! Killed training: nothing is half written, and the next start continues.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vesal_tests::dataset::PhantomDataset;
use vesal_tests::programs::{programs, run};

use crate::chain::{SETTINGS, auto};

#[test]
fn a_killed_fit_resumes_and_ends_like_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let dataset = PhantomDataset::write(&path.join("data"), 4, 0).unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| {
        let work = path.join(name);
        let mut analyze = Command::new(&programs().train);
        analyze
            .args(["analyze", "--folds", "2", "--input"])
            .arg(&dataset.task)
            .arg("--work-dir")
            .arg(&work);
        run(&mut analyze);
        let mut plan = Command::new(&programs().train);
        plan.arg("plan").arg("--work-dir").arg(&work);
        for setting in SETTINGS {
            plan.args(["--set", setting]);
        }
        run(&mut plan);
        work
    });
    let started = Instant::now();
    run(&mut fit(&whole));
    let moment = (started.elapsed() / 8).max(Duration::from_millis(5));

    let deaths = kill_until_done(
        || fit(&killed),
        moment,
        || {
            assert_whole(&killed.join("segresnet_0"));
        },
    );
    assert!(deaths >= 2, "the fit was killed {deaths} times");

    let weights =
        |work: &Path| std::fs::read(work.join("segresnet_0/weights.safetensors")).unwrap();
    assert!(
        weights(&whole) == weights(&killed),
        "weights differ from an uninterrupted training"
    );
}

#[test]
fn a_killed_auto_resumes_wherever_it_was_also_with_folds_in_parallel() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let dataset = PhantomDataset::write(&path.join("data"), 4, 0).unwrap();
    let auto = |work: &Path, folds_at_once: &str| {
        let mut command = auto(&dataset.task, work);
        command.args(["--parallel-folds", folds_at_once]);
        command
    };
    let [whole, killed] = ["whole", "killed"].map(|name| path.join(name));
    // Programs are found or built before the time starts.
    programs();
    let started = Instant::now();
    run(&mut auto(&whole, "1"));
    let moment = (started.elapsed() / 8).max(Duration::from_millis(5));
    let deaths = kill_until_done(
        || auto(&killed, "2"),
        moment,
        || {
            (0..2).for_each(|fold| assert_whole(&killed.join(format!("segresnet_{fold}"))));
        },
    );
    assert!(deaths >= 2, "auto was killed {deaths} times");
    for fold in 0..2 {
        let weights = |work: &Path| {
            std::fs::read(work.join(format!("segresnet_{fold}/weights.safetensors"))).unwrap()
        };
        assert!(weights(&whole) == weights(&killed), "fold {fold} differs");
    }
}

/// Starts a program repeatedly and kills it a little later each time, until it ends by itself; returns the number of
/// kills.
fn kill_until_done(command: impl Fn() -> Command, moment: Duration, after: impl Fn()) -> usize {
    let mut deaths = 0;
    // Each start runs a little longer, so that kills fall on loading, steps, validations and writes.
    for life in (1..).map(|n| moment * n) {
        let mut child = command()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + life;
        let finished = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if Instant::now() > end {
                break None;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        if let Some(status) = finished {
            assert!(status.success(), "a resumed program ends with {status}");
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        deaths += 1;
        after();
    }
    deaths
}

fn fit(work: &Path) -> Command {
    let mut command = Command::new(&programs().train);
    command.args(["fit", "--fold", "0", "--work-dir"]).arg(work);
    command
}

/// Every existing file is complete.
fn assert_whole(run_dir: &Path) {
    let Ok(entries) = std::fs::read_dir(run_dir) else {
        return;
    };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let bytes = std::fs::read(&path).unwrap();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => drop(serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()),
            Some("safetensors") => assert_eq!(bytes.len() as u64, safetensors_bytes(&bytes, &path)),
            _ => {}
        }
    }
}

/// Length of a safetensors file by its header.
fn safetensors_bytes(bytes: &[u8], path: &Path) -> u64 {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length as usize])
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let ends = header
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "__metadata__");
    8 + length
        + ends
            .map(|(_, tensor)| tensor["data_offsets"][1].as_u64().unwrap())
            .max()
            .unwrap_or(0)
}
