//! Every target over its seeds and over what fuzzing has found, within the bounds of time and memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vesal_fuzz_targets::{Target, targets};

const MIB: u64 = 1 << 20;

/// Files that a target was found to break at, and small ones that reach far into it.
fn kept(target: &Target) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../inputs")
        .join(target.name);
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// Runs a target; it must end in 2 s and 2 s for each MiB, with 64 MiB and 16 bytes for each byte.
fn check(target: &Target, name: &str, bytes: &[u8]) {
    // 5 sets the highest resident size to the current one.
    let measured = fs::write("/proc/self/clear_refs", "5").is_ok();
    let (before, start) = (status("VmRSS"), Instant::now());
    (target.run)(bytes);
    let took = start.elapsed();
    let taken = status("VmHWM").saturating_sub(before);
    let bytes = bytes.len() as u64;
    let limit = Duration::from_secs_f64(2.0 + 2.0 * bytes as f64 / MIB as f64);
    assert!(took <= limit, "{} of {name} took {took:?}", target.name);
    let most = 64 * MIB + 16 * bytes;
    assert!(
        !measured || taken <= most,
        "{} of {name} took {taken} bytes",
        target.name
    );
}

#[test]
fn all_targets_hold() {
    for target in targets() {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for (index, seed) in seeds.iter().enumerate() {
            check(target, &format!("seed {index}"), seed);
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
            check(target, &name, &fs::read(&path).unwrap());
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
