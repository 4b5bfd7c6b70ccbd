//! Programs with every kind of exit.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::config::{Config, EXAMPLE, Service};

fn service() -> Service {
    let config = Config::parse(EXAMPLE, Path::new("/x/y")).unwrap();
    config.services[0].clone()
}

/// Runs a script; it finds its folder of results in `$OUT`.
fn run(script: &str, limit: Duration, run_ram: Option<u64>, stop: &Stop) -> RunOutcome {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    let out = folder.path().display();
    fs::write(&program, format!("#!/bin/sh\nOUT={out}\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let request = PredictionRequest {
        service: &service(),
        input: Path::new("/in"),
        output: folder.path(),
        limit,
        mark_incomplete: false,
        uid_key: Path::new("/key"),
        run_ram,
    };
    let child = ChildProcess {
        program,
        command_line: Script,
    };
    child.predict(&request, stop)
}

/// Scripts take no arguments.
struct Script;

impl PredictionProgram for Script {
    fn arguments(&self, _: &PredictionRequest<'_>) -> Vec<OsString> {
        Vec::new()
    }

    fn meaning(&self, exit: i32) -> ExitMeaning {
        match exit {
            0 => ExitMeaning::Done,
            3 => ExitMeaning::Failed(Reason::Input),
            4 => ExitMeaning::Retry(Reason::Bundle),
            130 => ExitMeaning::Interrupted,
            exit => ExitMeaning::Retry(Reason::Exit { exit }),
        }
    }
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn exit_codes_say_whether_to_try_again() {
    let end = |script| run(script, LONG, None, &Stop::default());
    assert_eq!(end("exit 0"), RunOutcome::Done);
    assert_eq!(end("exit 3"), RunOutcome::Failed(Reason::Input));
    assert_eq!(end("exit 4"), RunOutcome::Retry(Reason::Bundle));
    assert_eq!(end("exit 130"), RunOutcome::Retry(Reason::Interrupted));
    assert_eq!(end("exit 99"), RunOutcome::Retry(Reason::Exit { exit: 99 }));
    let signal = RunOutcome::Retry(Reason::Signal {
        signal: 9,
        limit: None,
    });
    assert_eq!(end("kill -9 $$"), signal);
}

#[test]
fn a_reason_is_taken_over_as_a_code_and_numbers() {
    let end = |left: &str| {
        let script = format!("echo '{left}' > $OUT/failure.json; echo DOE^JOHN >&2; exit 3");
        run(&script, LONG, None, &Stop::default())
    };
    let left = r#"{"code":"pixels","frame":7,"name":"DOE^JOHN"}"#;
    assert_eq!(end(left), RunOutcome::Failed(Reason::Pixels { frame: 7 }));
    for left in ["DOE^JOHN", r#"{"code":"DOE^JOHN"}"#, ""] {
        assert_eq!(end(left), RunOutcome::Failed(Reason::Input));
    }
}

#[test]
fn it_ends_when_it_takes_too_long_or_the_node_stops() {
    let limit = Duration::from_millis(1200);
    let end = run("sleep 20", limit, None, &Stop::default());
    assert_eq!(end, RunOutcome::Failed(Reason::TimedOut { seconds: 1 }));
    let stop = Arc::new(Stop::default());
    let asks = Arc::clone(&stop);
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        asks.request(Duration::from_millis(300));
    });
    // This one ignores the signal.
    let start = Instant::now();
    let end = run("trap '' TERM; sleep 20 & wait; wait", LONG, None, &stop);
    assert_eq!(end, RunOutcome::Interrupted);
    assert!(start.elapsed() < Duration::from_secs(10));
    thread.join().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn what_takes_memory_without_end_is_ended_and_told() {
    // The shell keeps the text in memory, and doubles it.
    let script = "sleep 0.3; x=0123456789abcdef; while :; do x=$x$x; done";
    let end = run(script, LONG, Some(64 << 20), &Stop::default());
    // Shells end with a code of their own where memory is refused.
    assert!(matches!(end, RunOutcome::Retry(_)), "{end:?}");
    let script = "sleep 0.3; cat /proc/$$/oom_score_adj > $OUT/score; cat /proc/$$/limits > $OUT/limits; \
                  [ $(cat $OUT/score) = 1000 ] && grep -q 'Max core file size *0 ' $OUT/limits && exit 0; exit 99";
    let end = run(script, LONG, Some(64 << 20), &Stop::default());
    assert_eq!(end, RunOutcome::Done);
}
