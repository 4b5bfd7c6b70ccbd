//! Predicts in a child process, whose failure does not affect the node.

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
use crate::work::program::{ExitMeaning, PredictionProgram};
use crate::work::request::{Predict, PredictionRequest};

/// Runs a program for each job.
#[derive(Debug, Clone)]
pub struct ChildProcess<P> {
    /// File of the program.
    pub program: PathBuf,
    /// Its command line and exit codes.
    pub command_line: P,
}

/// Interval of checks whether the process has ended.
const SLICE: Duration = Duration::from_millis(50);

/// Time to end after it was asked to, past the time limit.
const GRACE: Duration = Duration::from_secs(10);

impl<P: PredictionProgram> Predict for ChildProcess<P> {
    fn predict(&self, request: &PredictionRequest<'_>, stop: &Stop) -> RunOutcome {
        let Ok(mut child) = self.command(request).spawn() else {
            return RunOutcome::Retry(Reason::NotStarted);
        };
        let limit = limits::set(&child, request.run_ram);
        let status = match wait(&mut child, request.limit, stop) {
            Ok(ChildEnd::Ended(status)) => status,
            Ok(ChildEnd::Stopped) => return RunOutcome::Interrupted,
            Ok(ChildEnd::TooLong) => {
                // It would take as long again and delay others.
                let seconds = request.limit.as_secs();
                return RunOutcome::Failed(Reason::TimedOut { seconds });
            }
            Err(_) => {
                // Its job is predicted again, so the process must not write any more.
                let _ = child.kill();
                let _ = child.wait();
                return RunOutcome::Retry(Reason::NotStarted);
            }
        };
        let left = read(&request.failure_file());
        self.judge(status, left, limit, stop.is_requested())
    }
}

/// The reason that a process wrote; `None` for a file that holds anything else.
fn read(failure: &Path) -> Option<Reason> {
    let mut bytes = Vec::new();
    let file = File::open(failure).ok()?;
    file.take(REASON_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl<P: PredictionProgram> ChildProcess<P> {
    /// The outcome of a process, by what its exit code means and the reason that it wrote.
    fn judge(
        &self,
        status: ExitStatus,
        left: Option<Reason>,
        limit: Option<u64>,
        stops: bool,
    ) -> RunOutcome {
        let Some(exit) = status.code() else {
            if stops {
                return RunOutcome::Interrupted;
            }
            let signal = signal(status);
            return RunOutcome::Retry(Reason::Signal { signal, limit });
        };
        match self.command_line.meaning(exit) {
            ExitMeaning::Done => RunOutcome::Done,
            ExitMeaning::Failed(reason) => RunOutcome::Failed(left.unwrap_or(reason)),
            ExitMeaning::Retry(reason) => RunOutcome::Retry(left.unwrap_or(reason)),
            ExitMeaning::Interrupted if stops => RunOutcome::Interrupted,
            ExitMeaning::Interrupted => RunOutcome::Retry(Reason::Interrupted),
        }
    }

    fn command(&self, request: &PredictionRequest<'_>) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(self.command_line.arguments(request))
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
