//! Predictions that outlived a killed node.

use std::path::Path;

/// Kills the predictions that write below this folder of jobs: their results are no longer wanted, and they would share
/// the machine with those that begin now.
#[cfg(target_os = "linux")]
pub fn end(jobs: &Path) {
    use std::fs;
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process};

    use crate::log;

    let prefix = format!("{}/", jobs.display());
    let is_ours = |arguments: &str| {
        let mut arguments = arguments.split('\0');
        arguments.any(|argument| argument == "predict")
            && arguments.any(|argument| {
                argument
                    .strip_prefix(&prefix)
                    .is_some_and(|rest| rest.contains("/run-"))
            })
    };
    let Ok(processes) = fs::read_dir("/proc") else {
        return;
    };
    for entry in processes.flatten() {
        let name = entry.file_name();
        let Some(pid) = name
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw)
        else {
            continue;
        };
        let Ok(arguments) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        if !is_ours(&String::from_utf8_lossy(&arguments)) {
            continue;
        }
        if kill_process(pid, Signal::KILL).is_ok() {
            log::warning("a prediction of an earlier node was still running, and was ended");
        }
        let end = Instant::now() + Duration::from_secs(5);
        while entry.path().join("cmdline").exists()
            && fs::read(entry.path().join("cmdline")).is_ok_and(|left| !left.is_empty())
            && Instant::now() < end
        {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// On other systems they end by themselves, because the folder of their results is gone.
#[cfg(not(target_os = "linux"))]
pub fn end(_: &Path) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_predictions_below_the_folder_are_ended() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        fs::write(&script, "sleep 5; exit 0\n").unwrap();
        let jobs = folder.path().join("jobs");
        let start = |output: &Path| {
            let mut command = Command::new("sh");
            command.arg(&script).arg("predict").arg(output);
            command.spawn().unwrap()
        };
        let mut ours = start(&jobs.join("a/run-b"));
        let mut other = start(&folder.path().join("other/a/run-b"));
        while fs::read(format!("/proc/{}/cmdline", ours.id()))
            .is_ok_and(|line| !line.windows(7).any(|part| part == b"predict"))
        {}
        end(&jobs);
        assert_eq!(ours.wait().unwrap().code(), None);
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
