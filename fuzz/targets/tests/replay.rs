//! Every target over its seeds and over what fuzzing has found, within the bounds of time and memory.

#[path = "../../../runtime/io/tests/bounds/cost.rs"]
mod cost;

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use cost::{cost, excess};
use vesal_fuzz_targets::{Target, targets};

/// Files that once broke a target, and small ones with high coverage.
fn kept(target: &Target) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../inputs")
        .join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{folder:?} is empty");
    files.sort();
    files
}

/// Runs a target within the bounds; no thread of it may panic, even where the panic is caught.
fn check(target: &Target, name: &str, bytes: &[u8]) {
    let ((), cost) = cost(|| (target.run)(bytes));
    let name = format!("{} of {name}", target.name);
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "{name} panicked");
    let excess = excess(bytes.len() as u64, cost);
    assert!(excess.is_empty(), "{name}: {excess:?}");
}

/// Panics of all threads.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics, as fuzzers abort at them.
fn count_panics() {
    let told = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        told(panic);
    }));
}

/// Environment variables with the target and the file for a child process.
const TARGET: &str = "VESAL_TEST_TARGET";
const INPUT: &str = "VESAL_TEST_INPUT";

/// Checks in a new process, without earlier deallocations.
fn check_alone(target: &Target, name: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name.replace(' ', "_"));
    fs::write(&path, bytes).unwrap();
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "runs_in_a_child"])
        .env(TARGET, target.name)
        .env(INPUT, &path)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{told}");
}

#[test]
fn runs_in_a_child() {
    let (Some(name), Some(path)) = (std::env::var_os(TARGET), std::env::var_os(INPUT)) else {
        return;
    };
    count_panics();
    let target = targets().find(|target| name == target.name).unwrap();
    let path = Path::new(&path);
    let name = path.file_name().unwrap().to_string_lossy();
    check(target, &name, &fs::read(path).unwrap());
}

#[test]
fn all_targets_hold() {
    count_panics();
    for target in targets() {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for (index, seed) in seeds.iter().enumerate() {
            check_alone(target, &format!("seed {index}"), seed);
            // Cut off anywhere, and with a byte changed.
            for at in (0..seed.len()).step_by(1 + seed.len() / 16) {
                check(target, &format!("seed {index} cut at {at}"), &seed[..at]);
                let mut changed = seed.clone();
                changed[at] ^= 0xff;
                check(target, &format!("seed {index} changed at {at}"), &changed);
            }
        }
        for path in kept(target) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            check_alone(target, &name, &fs::read(&path).unwrap());
        }
    }
}

#[test]
fn mutations_reach_what_is_compressed() {
    for target in targets() {
        let Some(wrapping) = target.wrapping else {
            continue;
        };
        let inside = |bytes: &[u8]| {
            let mut found = None;
            wrapping.mutate(bytes, |inside| {
                found = Some(inside.clone());
                inside
            });
            found
        };
        let seeds = (target.seeds)();
        let wrapped = seeds.iter().find_map(|seed| Some((seed, inside(seed)?)));
        let (seed, before) = wrapped.unwrap_or_else(|| panic!("{} has no such seed", target.name));
        let mutated = wrapping.mutate(seed, |mut inside| {
            inside[0] ^= 1;
            inside
        });
        let after = inside(&mutated.unwrap()).unwrap();
        assert_eq!(after[0], before[0] ^ 1, "{}", target.name);
        assert_eq!(after[1..], before[1..], "{}", target.name);
    }
}

#[test]
fn every_target_has_a_fuzzer() {
    if cfg!(not(feature = "training")) {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz_targets");
    let mut fuzzers: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    fuzzers.sort();
    let mut targets: Vec<_> = targets().map(|target| target.name.to_owned()).collect();
    targets.sort();
    assert_eq!(fuzzers, targets);
}
