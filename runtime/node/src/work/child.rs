//! Predicts in a process of its own: `vesal predict`. Whatever happens to it, the node goes on.

use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::queue::RunEnd;
use crate::stop::Stop;
use crate::work::message::{TAIL_BYTES, reason};
use crate::work::{Order, Predict};

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
        let mut child = match self.command(order).spawn() {
            Ok(child) => child,
            Err(error) => return RunEnd::Retry(format!("it cannot be started: {error}")),
        };
        let tail = Tail::follow(child.stderr.take());
        let waited = wait(&mut child, order.limit, stop);
        let tail = tail.take();
        let status = match waited {
            Ok(Waited::Ended(status)) => status,
            Ok(Waited::Stopped) => return RunEnd::Interrupted,
            Ok(Waited::TooLong) => {
                let minutes = order.limit.as_secs_f64() / 60.0;
                return RunEnd::Retry(format!("it took longer than {minutes} minutes"));
            }
            Err(error) => return RunEnd::Retry(format!("it cannot be waited for: {error}")),
        };
        judge(status, &reason(&tail, order), stop.is_requested())
    }
}

/// The last words of a process.
struct Tail {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Tail {
    fn follow(stderr: Option<ChildStderr>) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let to = Arc::clone(&bytes);
        let thread = stderr.map(|mut stderr| {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stderr.read(&mut buffer) {
                    let mut tail = to.lock().unwrap_or_else(PoisonError::into_inner);
                    tail.extend(&buffer[..count]);
                    let surplus = tail.len().saturating_sub(TAIL_BYTES);
                    tail.drain(..surplus);
                }
            })
        });
        Self { bytes, thread }
    }

    /// What it said until it ended; a process that it left behind may keep its stderr open.
    fn take(self) -> Vec<u8> {
        let end = Instant::now() + Duration::from_secs(1);
        while self
            .thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
            && Instant::now() < end
        {
            thread::sleep(Duration::from_millis(5));
        }
        std::mem::take(&mut self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
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
            "--overwrite".into(),
        ];
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
            .stderr(Stdio::piped());
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

/// What an end means, by the exit codes of `vesal`.
fn judge(status: ExitStatus, reason: &str, stops: bool) -> RunEnd {
    match status.code() {
        Some(0) => RunEnd::Done,
        // The images are such that it will never do; bundle and settings can be mended.
        Some(3 | 7) => RunEnd::Failed(reason.to_owned()),
        Some(130) if stops => RunEnd::Interrupted,
        // What a mistake in the code prints, may be anything.
        Some(1) => RunEnd::Retry("it ended by a mistake in vesal itself".to_owned()),
        Some(130) => RunEnd::Retry("it was interrupted".to_owned()),
        Some(_) => RunEnd::Retry(reason.to_owned()),
        None if stops => RunEnd::Interrupted,
        None => RunEnd::Retry(format!("it was ended: {status}")),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::config::{Config, EXAMPLE};

    fn run(script: &str, limit: Duration, stop: &Stop) -> RunEnd {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let config = Config::parse(EXAMPLE, Path::new("/x/y")).unwrap();
        let order = Order {
            service: &config.services[0],
            input: Path::new("/in"),
            output: folder.path(),
            limit,
        };
        ChildProcess { program }.predict(&order, stop)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn exit_codes_say_whether_to_try_again() {
        let end = |script| run(script, LONG, &Stop::default());
        assert_eq!(end("exit 0"), RunEnd::Done);
        assert_eq!(
            end("echo 'error: no images' >&2; exit 3"),
            RunEnd::Failed("no images".to_owned())
        );
        assert_eq!(
            end("echo 'error: no bundle' >&2; exit 4"),
            RunEnd::Retry("no bundle".to_owned())
        );
        assert_eq!(
            end("echo 'error: no memory' >&2; exit 5"),
            RunEnd::Retry("no memory".to_owned())
        );
        assert_eq!(
            end("echo 'thread panicked: DOE^JOHN' >&2; exit 1"),
            RunEnd::Retry("it ended by a mistake in vesal itself".to_owned())
        );
        assert!(matches!(end("kill -9 $$"), RunEnd::Retry(_)));
    }

    #[test]
    fn it_is_told_what_to_do() {
        let end = run("echo \"error: $*\" >&2; exit 3", LONG, &Stop::default());
        let RunEnd::Failed(reason) = end else {
            panic!("{end:?}");
        };
        assert!(
            reason.starts_with("predict --bundle /x/bundle --input INPUT --output OUTPUT --format seg --geometry strict"),
            "{reason}"
        );
    }

    #[test]
    fn it_ends_when_it_takes_too_long_or_the_node_stops() {
        let limit = Duration::from_millis(200);
        assert!(matches!(
            run("sleep 20", limit, &Stop::default()),
            RunEnd::Retry(_)
        ));
        let stop = Arc::new(Stop::default());
        let asks = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            asks.request(Duration::from_millis(300));
        });
        // This one does not listen.
        let start = Instant::now();
        let end = run("trap '' TERM; sleep 20 & wait; wait", LONG, &stop);
        assert_eq!(end, RunEnd::Interrupted);
        assert!(start.elapsed() < Duration::from_secs(10));
        thread.join().unwrap();
    }
}
