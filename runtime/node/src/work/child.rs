//! Predicts in a process of its own: `vesal predict`. Whatever happens to it, the node goes on.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::queue::RunEnd;
use crate::reason::{REASON_BYTES_MAX, Reason};
use crate::stop::Stop;
use crate::work::{Order, Predict, limits};

/// Runs a program for each job.
#[derive(Debug, Clone)]
pub struct ChildProcess {
    /// The program, which takes `predict` and its options.
    pub program: PathBuf,
}

/// How often is looked whether it has ended.
const SLICE: Duration = Duration::from_millis(50);

/// Time to end by itself, when it takes too long.
const GRACE: Duration = Duration::from_secs(10);

impl Predict for ChildProcess {
    fn predict(&self, order: &Order<'_>, stop: &Stop) -> RunEnd {
        let failure = order.output.join(FAILURE);
        let Ok(mut child) = self.command(order).spawn() else {
            return RunEnd::Retry(Reason::NotStarted);
        };
        let limit = limits::set(&child, order.run_ram);
        let status = match wait(&mut child, order.limit, stop) {
            Ok(Waited::Ended(status)) => status,
            Ok(Waited::Stopped) => return RunEnd::Interrupted,
            Ok(Waited::TooLong) => {
                // Another time it would take as long, and others would wait for it again.
                let seconds = order.limit.as_secs();
                return RunEnd::Failed(Reason::TimedOut { seconds });
            }
            Err(_) => {
                // Its job is predicted again: nobody else may write there.
                let _ = child.kill();
                let _ = child.wait();
                return RunEnd::Retry(Reason::NotStarted);
            }
        };
        judge(status, read(&failure), limit, stop.is_requested())
    }
}

/// Name of the file in the folder of results that says why there are none.
const FAILURE: &str = "failure.json";

/// The reason that a process left behind; nothing of a file that holds anything else is taken over.
fn read(failure: &Path) -> Option<Reason> {
    let mut bytes = Vec::new();
    let file = File::open(failure).ok()?;
    file.take(REASON_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl ChildProcess {
    /// What it is told: the arguments of `vesal predict`.
    pub fn arguments(order: &Order<'_>) -> Vec<OsString> {
        let service = order.service;
        let mut arguments: Vec<OsString> = vec![
            "predict".into(),
            "--bundle".into(),
            service.bundle.clone().into(),
            "--input".into(),
            order.input.into(),
            "--output".into(),
            order.output.into(),
            "--format".into(),
            service.formats.join(",").into(),
            "--geometry".into(),
            service.geometry.clone().into(),
            "--report".into(),
            order.output.join("report.json").into(),
            "--failure".into(),
            order.output.join(FAILURE).into(),
            "--uid-key".into(),
            order.uid_key.into(),
            "--overwrite".into(),
        ];
        if let Some(bytes) = order.run_ram {
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
        if order.mark_incomplete {
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

    fn command(&self, order: &Order<'_>) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(Self::arguments(order))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // What it says may name files and what they hold.
            .stderr(Stdio::null());
        command
    }
}

enum Waited {
    Ended(ExitStatus),
    Stopped,
    TooLong,
}

fn wait(child: &mut Child, limit: Duration, stop: &Stop) -> std::io::Result<Waited> {
    let end = Instant::now() + limit;
    let mut asked: Option<(Instant, bool)> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(match asked {
                // It may have been done at that moment.
                _ if status.success() => Waited::Ended(status),
                Some((_, true)) => Waited::Stopped,
                Some((_, false)) => Waited::TooLong,
                None => Waited::Ended(status),
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

/// Asks a process to end.
#[cfg(unix)]
fn ask(child: &mut Child) -> std::io::Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    match kill_process(Pid::from_child(child), Signal::TERM) {
        // It has ended and was not waited for yet.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn ask(child: &mut Child) -> std::io::Result<()> {
    child.kill()
}

/// What an end means: by what it left behind, or the exit codes of `vesal`.
fn judge(status: ExitStatus, left: Option<Reason>, limit: Option<u64>, stops: bool) -> RunEnd {
    let Some(exit) = status.code() else {
        if stops {
            return RunEnd::Interrupted;
        }
        let signal = signal(status);
        return RunEnd::Retry(Reason::Signal { signal, limit });
    };
    match exit {
        0 => RunEnd::Done,
        // The images are such that it will never do; bundle and settings can be mended.
        3 | 7 => RunEnd::Failed(left.unwrap_or(Reason::Input)),
        130 if stops => RunEnd::Interrupted,
        1 => RunEnd::Retry(Reason::Bug),
        130 => RunEnd::Retry(Reason::Interrupted),
        2 => RunEnd::Retry(Reason::Settings),
        4 => RunEnd::Retry(left.unwrap_or(Reason::Bundle)),
        5 => RunEnd::Retry(left.unwrap_or(Reason::Device)),
        6 => RunEnd::Retry(left.unwrap_or(Reason::Output)),
        exit => RunEnd::Retry(Reason::Exit { exit }),
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
