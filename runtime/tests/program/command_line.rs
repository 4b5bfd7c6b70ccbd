//! The command line itself: help, version, usage errors, completions.

use std::time::{Duration, Instant};

use crate::support::{self, run};

#[test]
fn help_says_what_there_is() {
    let overview = run(["--help"]);
    assert_eq!(overview.code, Some(0));
    insta::assert_snapshot!("help", overview.stdout);
    for command in [
        "predict",
        "serve",
        "evaluate",
        "inspect",
        "convert",
        "verify",
        "bench",
        "tune",
        "devices",
        "setup",
        "completions",
    ] {
        let help = run([command, "--help"]);
        assert_eq!(help.code, Some(0), "{command}");
        insta::assert_snapshot!(format!("help_{command}"), help.stdout);
    }
}

#[test]
fn version_is_all_that_version_prints_and_loads_nothing() {
    // The fastest of several runs is measured, because others include the load of the machine.
    let timed = |_| {
        let start = Instant::now();
        let ran = run(["--version"]);
        (start.elapsed(), ran)
    };
    let (fastest, ran) = (0..10)
        .map(timed)
        .min_by_key(|(time, _)| *time)
        .expect("ten runs");
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), concat!("vesal ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    assert!(fastest <= Duration::from_millis(20), "{fastest:?}");
}

#[test]
fn wrong_usage_ends_with_2() {
    let wrong: [&[&str]; 11] = [
        &[],
        &["segment"],
        &["predict", "--input", "a.nii.gz", "--output", "out"],
        &["predict", "--bundle", "b", "--input", "--output", "out"],
        &[
            "predict", "--bundle", "b", "--input", "a", "--output", "o", "--device", "gpu",
        ],
        &[
            "predict",
            "--bundle",
            "b",
            "--input",
            "a",
            "--output",
            "o",
            "--threads",
            "0",
        ],
        &[
            "predict", "--bundle", "b", "--input", "a", "--output", "o", "--suffix", "../x",
        ],
        &["bench", "b"],
        &["verify", "b", "--precision", "f8"],
        &["tune", "b", "--provider", "native"],
        &["completions", "tcsh"],
    ];
    for arguments in wrong {
        let ran = run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn a_variable_counts_where_the_flag_is_absent() {
    let verify = |flags: &[&str]| {
        let mut command = support::vesal();
        command
            .env("VESAL_DEVICE", "toaster")
            .args(["verify", "no-such-bundle"])
            .args(flags);
        support::Ran::from(command.output().expect("runs"))
    };
    let from_variable = verify(&[]);
    assert_eq!(from_variable.code, Some(2));
    assert!(
        from_variable.stderr.contains("toaster"),
        "{}",
        from_variable.stderr
    );
    assert_eq!(verify(&["--device", "cpu"]).code, Some(4));
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run(["completions", shell]);
        assert_eq!(ran.code, Some(0));
        assert!(
            ran.stdout.contains("predict") && ran.stdout.contains("probabilities"),
            "{shell}"
        );
    }
}
