//! Predicts in a child process, `vesal predict`, whose failure does not affect the node.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::queue::RunOutcome;
use crate::reason::{REASON_BYTES_MAX, Reason};
use crate::stop::Stop;
use crate::work::limits;
use crate::work::request::{Predict, PredictionRequest};

/// Runs a program for each job.
#[derive(Debug, Clone)]
pub struct ChildProcess {
    /// The program, which takes `predict` and its options.
    pub program: PathBuf,
}

/// Interval of checks whether the process has ended.
const SLICE: Duration = Duration::from_millis(50);

/// Time to end after it was asked to, past the time limit.
const GRACE: Duration = Duration::from_secs(10);

impl Predict for ChildProcess {
    fn predict(&self, request: &PredictionRequest<'_>, stop: &Stop) -> RunOutcome {
        let failure = request.output.join(FAILURE);
        let Ok(mut child) = self.command(request).spawn() else {
            return RunOutcome::Retry(Reason::NotStarted);
        };
        let limit = limits::set(&child, request.run_ram);
        let status = match wait(&mut child, request.limit, stop) {
            Ok(ChildEnd::Ended(status)) => status,
            Ok(ChildEnd::Stopped) => return RunOutcome::Interrupted,
            Ok(ChildEnd::TooLong) => {
                // It would take as long again, and others would wait for it.
                let seconds = request.limit.as_secs();
                return RunOutcome::Failed(Reason::TimedOut { seconds });
            }
            Err(_) => {
                // Its job is predicted again, so that the process must not write any more.
                let _ = child.kill();
                let _ = child.wait();
                return RunOutcome::Retry(Reason::NotStarted);
            }
        };
        judge(status, read(&failure), limit, stop.is_requested())
    }
}

/// Name of the file in the folder of results with the reason of a failure.
const FAILURE: &str = "failure.json";

/// The reason that a process wrote; `None` for a file that holds anything else.
fn read(failure: &Path) -> Option<Reason> {
    let mut bytes = Vec::new();
    let file = File::open(failure).ok()?;
    file.take(REASON_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl ChildProcess {
    /// The arguments of `vesal predict`.
    pub fn arguments(request: &PredictionRequest<'_>) -> Vec<OsString> {
        let service = request.service;
        let mut arguments: Vec<OsString> = vec![
            "predict".into(),
            "--bundle".into(),
            service.bundle.clone().into(),
            "--input".into(),
            request.input.into(),
            "--output".into(),
            request.output.into(),
            "--format".into(),
            service.formats.join(",").into(),
            "--geometry".into(),
            service.geometry.clone().into(),
            "--report".into(),
            request.output.join("report.json").into(),
            "--failure".into(),
            request.output.join(FAILURE).into(),
            "--uid-key".into(),
            request.uid_key.into(),
            "--overwrite".into(),
        ];
        if let Some(bytes) = request.run_ram {
            arguments.extend(["--max-ram".into(), bytes.to_string().into()]);
        }
        if let Some(digest) = &service.bundle_sha256 {
            arguments.extend(["--bundle-sha256".into(), digest.into()]);
        }
        if let Some(key) = &service.bundle_key {
            arguments.extend(["--bundle-key".into(), key.into()]);
        }
        if service.require_signature {
            arguments.push("--require-signature".into());
        }
        if request.mark_incomplete {
            arguments.push("--mark-incomplete".into());
        }
        if let Some(rules) = &service.dicom_rules {
            arguments.extend(["--dicom-rules".into(), rules.into()]);
        }
        for series in &service.series {
            arguments.extend(["--series".into(), series.into()]);
        }
        arguments.extend(service.options.iter().map(OsString::from));
        arguments
    }

    fn command(&self, request: &PredictionRequest<'_>) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(Self::arguments(request))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // Its messages may contain names and contents of files.
            .stderr(Stdio::null());
        command
    }
}

enum ChildEnd {
    Ended(ExitStatus),
    Stopped,
    TooLong,
}

fn wait(child: &mut Child, limit: Duration, stop: &Stop) -> std::io::Result<ChildEnd> {
    let end = Instant::now() + limit;
    let mut asked: Option<(Instant, bool)> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(match asked {
                // It may have finished at that moment.
                _ if status.success() => ChildEnd::Ended(status),
                Some((_, true)) => ChildEnd::Stopped,
                Some((_, false)) => ChildEnd::TooLong,
                None => ChildEnd::Ended(status),
            });
        }
        let stops = stop.is_requested();
        match asked {
            None if stops || Instant::now() >= end => {
                ask(child)?;
                asked = Some((Instant::now(), stops));
            }
            Some((_, true)) if stop.is_over() => child.kill()?,
            Some((since, false)) if since.elapsed() >= GRACE || stop.is_over() => child.kill()?,
            _ => {}
        }
        thread::sleep(SLICE);
    }
}

/// Asks a process to terminate.
#[cfg(unix)]
fn ask(child: &mut Child) -> std::io::Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    match kill_process(Pid::from_child(child), Signal::TERM) {
        // It has ended, but was not waited for yet.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn ask(child: &mut Child) -> std::io::Result<()> {
    child.kill()
}

/// The outcome of a process, by the reason that it wrote, or by the exit codes of `vesal`.
fn judge(status: ExitStatus, left: Option<Reason>, limit: Option<u64>, stops: bool) -> RunOutcome {
    let Some(exit) = status.code() else {
        if stops {
            return RunOutcome::Interrupted;
        }
        let signal = signal(status);
        return RunOutcome::Retry(Reason::Signal { signal, limit });
    };
    match exit {
        0 => RunOutcome::Done,
        // Unsuitable images stay so; bundle and settings can be corrected.
        3 | 7 => RunOutcome::Failed(left.unwrap_or(Reason::Input)),
        130 if stops => RunOutcome::Interrupted,
        1 => RunOutcome::Retry(Reason::Bug),
        130 => RunOutcome::Retry(Reason::Interrupted),
        2 => RunOutcome::Retry(Reason::Settings),
        4 => RunOutcome::Retry(left.unwrap_or(Reason::Bundle)),
        5 => RunOutcome::Retry(left.unwrap_or(Reason::Device)),
        6 => RunOutcome::Retry(left.unwrap_or(Reason::Output)),
        exit => RunOutcome::Retry(Reason::Exit { exit }),
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> i32 {
    std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> i32 {
    0
}

#[cfg(all(test, unix))]
mod tests;
