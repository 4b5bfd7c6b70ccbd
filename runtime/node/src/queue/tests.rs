//! Changes of the queue, with a loss of power after each of them.

mod association;
mod callers;
mod counted;
mod duplicates;
mod ends;
mod faults;
mod many;
mod storage;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use self::association::Association;
use super::*;
use crate::config::{Config, EXAMPLE, Keep};
use crate::queue::durable_files::DurableFiles;
use crate::queue::job_folder::JobFolder;
use crate::reason::{Reason, Undelivered};

fn config(storage: &Path) -> Config {
    let mut config = Config::parse(EXAMPLE, Path::new("x")).unwrap();
    config.storage = storage.to_owned();
    let service = &mut config.services[0];
    (service.quiet, service.cut_quiet) = (Duration::ZERO, Duration::ZERO);
    config.retry.run_pause = Duration::ZERO;
    config.retry.run_attempts = 2;
    config.retry.send_attempts = 2;
    config.retry.send_pause = Duration::ZERO;
    config.retry.undelivered_pause = Duration::ZERO;
    config
}

fn open(config: &Config) -> JobQueue {
    JobQueue::open(config).unwrap()
}

/// With power for this many steps.
fn open_until(config: &Config, steps: i64) -> Result<JobQueue, OpenError> {
    let files = DurableFiles {
        fuse: Some(AtomicI64::new(steps)),
        ..DurableFiles::default()
    };
    JobQueue::open_with(config, files)
}

/// Gives a queue of [`open_until`] power for this many further steps.
fn set_power(queue: &JobQueue, steps: i64) {
    let fuse = queue.files.fuse.as_ref().unwrap();
    fuse.store(steps, std::sync::atomic::Ordering::SeqCst);
}

fn key(queue: &JobQueue) -> JobKey {
    queue.key(0, "1.2", "1.2.3")
}

/// Sends an instance whose data set is `content`, in an association of its own.
fn send(queue: &JobQueue, uid: &str, content: u8) -> Result<Admission, AdmissionError> {
    let mut association = Association::open(queue, "A");
    let admitted = association.send(uid, content);
    association.leave(admitted.is_ok());
    admitted
}

/// The destination is not reachable.
fn away() -> SendOutcome {
    SendOutcome::Retry(Undelivered::Connection)
}

fn folder_of(queue: &JobQueue) -> JobFolder {
    queue.lock_jobs().get(&key(queue)).unwrap().folder.clone()
}

/// The input of a prediction, as its result.
fn predict(ticket: &RunTicket) {
    let names = job_folder::names(&ticket.input).unwrap();
    let seen: Vec<String> = names.into_keys().collect();
    fs::write(ticket.output.join("r_seg.dcm"), seen.join("\n")).unwrap();
}

/// Runs and sends everything that is due, once each; sent results are stored in the archive under their content.
fn advance(queue: &JobQueue, archive: &mut Vec<String>) -> io::Result<()> {
    queue.settle();
    if let Some(ticket) = queue.take_run()? {
        predict(&ticket);
        queue.ran(&ticket, &RunOutcome::Done)?;
    }
    while let Some(ticket) = queue.take_send()? {
        for (digest, path) in &ticket.results {
            archive.push(fs::read_to_string(path)?);
            queue.delivered(&ticket.key, "archive", digest)?;
        }
        queue.sent(&ticket, &SendOutcome::Done)?;
    }
    queue.tidy();
    Ok(())
}

fn state(queue: &JobQueue) -> JobState {
    queue.lock_jobs().get(&key(queue)).unwrap().job.state
}

#[test]
fn a_series_goes_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let (queue, mut archive) = (open(&config(folder.path())), Vec::new());
    assert_eq!(send(&queue, "1.1", 1).unwrap(), Admission::New);
    assert_eq!(send(&queue, "1.2", 2).unwrap(), Admission::New);
    assert_eq!(send(&queue, "1.2", 2).unwrap(), Admission::Known);
    advance(&queue, &mut archive).unwrap();
    assert_eq!(state(&queue), JobState::Done);
    assert_eq!(archive.len(), 1);
    assert_eq!(archive[0].lines().count(), 2);
    let left = job_folder::names(&folder_of(&queue).0).unwrap();
    let left: Vec<_> = left.keys().collect();
    assert_eq!(left, ["job.json", "known"]);
}

#[test]
fn a_series_that_is_sent_again_is_not_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut archive = Vec::new();
    for _ in 0..2 {
        let queue = open(&config);
        for index in 1..=3 {
            send(&queue, &format!("1.{index}"), index).unwrap();
        }
        advance(&queue, &mut archive).unwrap();
        assert_eq!(state(&queue), JobState::Done);
        assert_eq!(archive.len(), 1);
    }
    // With another one, it is predicted again.
    let queue = open(&config);
    for index in 1..=4 {
        send(&queue, &format!("1.{index}"), index).unwrap();
    }
    advance(&queue, &mut archive).unwrap();
    assert_eq!(archive.len(), 2);
    assert_eq!(archive[1].lines().count(), 4);
    // The same with another bundle.
    drop(queue);
    let mut other = config.clone();
    other.services[0].options.push("--device=cpu".to_owned());
    let queue = open(&other);
    for index in 1..=4 {
        send(&queue, &format!("1.{index}"), index).unwrap();
    }
    advance(&queue, &mut archive).unwrap();
    assert_eq!(archive.len(), 3);
}

#[test]
fn stragglers_are_run_with_the_others_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let mut archive = Vec::new();
    let queue = open(&config);
    send(&queue, "1.1", 1).unwrap();
    advance(&queue, &mut archive).unwrap();
    // Its images are gone.
    send(&queue, "1.2", 2).unwrap();
    advance(&queue, &mut archive).unwrap();
    assert_eq!(state(&queue), JobState::Failed);
    assert!(
        queue.jobs(9)[0]
            .reason
            .as_ref()
            .unwrap()
            .contains("send all again")
    );
    send(&queue, "1.1", 1).unwrap();
    advance(&queue, &mut archive).unwrap();
    assert_eq!(state(&queue), JobState::Done);
    assert_eq!(archive[1].lines().count(), 2);
    drop(queue);
    // Where they are kept, the others need not be sent again.
    config.retention.keep = Keep::All;
    let queue = open(&config);
    for index in 1..=2 {
        send(&queue, &format!("1.{index}"), index).unwrap();
    }
    send(&queue, "1.3", 3).unwrap();
    advance(&queue, &mut archive).unwrap();
    send(&queue, "1.4", 4).unwrap();
    advance(&queue, &mut archive).unwrap();
    assert_eq!(archive.last().unwrap().lines().count(), 4);
}

#[test]
fn an_instance_that_changes_takes_the_place_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (queue, mut archive) = (open(&config(folder.path())), Vec::new());
    send(&queue, "1.1", 1).unwrap();
    send(&queue, "1.1", 2).unwrap();
    advance(&queue, &mut archive).unwrap();
    let changed = queue.arrival("1.1", &[2; 32], "A").content;
    assert_eq!(archive.len(), 1);
    assert!(archive[0].contains(&changed), "{archive:?}");
}

#[test]
fn what_arrives_during_a_prediction_makes_another() {
    let folder = tempfile::tempdir().unwrap();
    let (queue, mut archive) = (open(&config(folder.path())), Vec::new());
    send(&queue, "1.1", 1).unwrap();
    queue.settle();
    let ticket = queue.take_run().unwrap().unwrap();
    predict(&ticket);
    send(&queue, "1.2", 2).unwrap();
    queue.settle();
    assert_eq!(fs::read_dir(&ticket.input).unwrap().count(), 1);
    assert_eq!(
        queue.ran(&ticket, &RunOutcome::Done).unwrap(),
        JobState::Collecting
    );
    advance(&queue, &mut archive).unwrap();
    assert_eq!(archive.len(), 1);
    assert_eq!(archive[0].lines().count(), 2);
}

#[test]
fn what_arrives_before_results_are_taken_replaces_them() {
    let folder = tempfile::tempdir().unwrap();
    let (queue, mut archive) = (open(&config(folder.path())), Vec::new());
    send(&queue, "1.1", 1).unwrap();
    queue.settle();
    let ticket = queue.take_run().unwrap().unwrap();
    predict(&ticket);
    queue.ran(&ticket, &RunOutcome::Done).unwrap();
    // The destination is unreachable; sent again unchanged, the job waits as before.
    let ticket = queue.take_send().unwrap().unwrap();
    queue.sent(&ticket, &away()).unwrap();
    assert_eq!(send(&queue, "1.1", 1).unwrap(), Admission::Known);
    queue.settle();
    assert_eq!(state(&queue), JobState::Sending);
    send(&queue, "1.2", 2).unwrap();
    advance(&queue, &mut archive).unwrap();
    assert_eq!(archive.len(), 1);
    assert_eq!(archive[0].lines().count(), 2);
}

#[test]
fn failures_are_tried_again_and_then_stay() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&config(folder.path()));
    send(&queue, "1.1", 1).unwrap();
    queue.settle();
    for expected in [JobState::Queued, JobState::Failed] {
        let ticket = queue.take_run().unwrap().unwrap();
        let end = RunOutcome::Retry(Reason::Memory);
        assert_eq!(queue.ran(&ticket, &end).unwrap(), expected);
        assert!(!ticket.output.exists());
    }
    assert!(queue.take_run().unwrap().is_none());
    // Sent again, it is predicted again.
    send(&queue, "1.1", 1).unwrap();
    queue.settle();
    let ticket = queue.take_run().unwrap().unwrap();
    predict(&ticket);
    queue.ran(&ticket, &RunOutcome::Done).unwrap();
    for expected in [
        JobState::Sending,
        JobState::Undelivered,
        JobState::Undelivered,
    ] {
        let ticket = queue.take_send().unwrap().unwrap();
        assert_eq!(queue.sent(&ticket, &away()).unwrap(), Some(expected));
        assert!(ticket.results.values().all(|path| path.exists()));
    }
}

#[test]
fn associations_hold_their_jobs_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.services[0].hold = Duration::from_secs(600);
    let queue = open(&config);
    let mut association = Association::open(&queue, "A");
    association.send("1.1", 1).unwrap();
    queue.settle();
    assert_eq!(state(&queue), JobState::Collecting);
    association.leave(true);
    queue.settle();
    assert_eq!(state(&queue), JobState::Queued);
}

#[cfg(unix)]
#[test]
fn a_storage_folder_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("storage");
    fs::create_dir(&storage).unwrap();
    fs::set_permissions(&storage, fs::Permissions::from_mode(0o755)).unwrap();
    let _queue = open(&config(&storage));
    let mode = fs::metadata(&storage).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn one_node_has_a_storage_folder() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let _first = open(&config);
    assert!(matches!(
        JobQueue::open(&config),
        Err(OpenError::InUse { .. })
    ));
}

#[test]
fn a_damaged_note_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let queue = open(&config);
    send(&queue, "1.1", 1).unwrap();
    let (key, of) = (key(&queue), folder_of(&queue));
    drop(queue);
    fs::write(of.document(), b"{").unwrap();
    let queue = open(&config);
    assert!(queue.jobs(9).is_empty());
    let aside = queue.storage().join("damaged").join(&key.0);
    assert_eq!(fs::read_dir(aside.join("arrived")).unwrap().count(), 1);
}

/// A node that loses power after every single step, in turn; the sender repeats what was not acknowledged, and adds an
/// instance later.
#[test]
fn nothing_is_lost_whenever_the_power_goes() {
    for keep in [Keep::None, Keep::All] {
        let mut steps = 0;
        loop {
            let folder = tempfile::tempdir().unwrap();
            let mut config = config(folder.path());
            config.retention.keep = keep;
            let mut archive = Vec::new();
            let mut acknowledged = Vec::new();
            let went = first_node(&config, steps, &mut acknowledged, &mut archive);
            // The next node keeps its power.
            let queue = open(&config);
            assert_eq!(
                fs::read_dir(queue.incoming()).unwrap().count(),
                0,
                "step {steps}"
            );
            if acknowledged.len() == 4 {
                // The sender received success.
                for _ in 0..4 {
                    advance(&queue, &mut archive).unwrap();
                }
            } else {
                for index in 1..=4 {
                    send(&queue, &format!("1.{index}"), index).unwrap();
                }
                for _ in 0..4 {
                    advance(&queue, &mut archive).unwrap();
                }
            }
            assert_eq!(state(&queue), JobState::Done, "step {steps}");
            archive.dedup();
            let whole: Vec<_> = archive
                .iter()
                .filter(|result| result.lines().count() == 4)
                .collect();
            assert_eq!(whole.len(), 1, "step {steps}: {archive:?}");
            assert_eq!(archive.last(), Some(whole[0]), "step {steps}");
            assert!(archive.len() <= 2, "step {steps}: {archive:?}");
            if went {
                break;
            }
            steps += 1;
        }
        assert!(steps > 20, "the power went at {steps} steps only");
    }
}

/// Sends three instances, has them predicted and sent, and then all four; returns whether it got that far.
fn first_node(
    config: &Config,
    steps: i64,
    acknowledged: &mut Vec<u8>,
    archive: &mut Vec<String>,
) -> bool {
    let Ok(queue) = open_until(config, steps) else {
        return false;
    };
    let mut send_all = |most: u8| {
        for index in 1..=most {
            if send(&queue, &format!("1.{index}"), index).is_err() {
                return false;
            }
            if !acknowledged.contains(&index) {
                acknowledged.push(index);
            }
        }
        true
    };
    if !send_all(3) || advance(&queue, archive).is_err() || !send_all(4) {
        return false;
    }
    // Failures of settling and tidying are only logged.
    advance(&queue, archive).is_ok()
        && queue
            .files
            .fuse
            .as_ref()
            .is_some_and(|fuse| fuse.load(std::sync::atomic::Ordering::SeqCst) > 0)
}

#[test]
fn what_is_kept_is_what_was_asked_for() {
    for (keep, left) in [
        (Keep::None, &["job.json", "known"][..]),
        (Keep::Results, &["job.json", "known", "run-"]),
        (Keep::All, &["input", "job.json", "known", "run-"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.retention.keep = keep;
        let mut archive = Vec::new();
        let queue = open(&config);
        send(&queue, "1.1", 1).unwrap();
        advance(&queue, &mut archive).unwrap();
        let of = folder_of(&queue);
        let found: Vec<String> = job_folder::names(&of.0).unwrap().into_keys().collect();
        assert_eq!(found.len(), left.len(), "{found:?}");
        for (found, left) in found.iter().zip(left) {
            assert!(found.starts_with(left), "{found}");
        }
        // Later, nothing is left.
        drop(queue);
        config.retention.kept = Duration::ZERO;
        let queue = open(&config);
        queue.tidy();
        let found: Vec<String> = job_folder::names(&of.0).unwrap().into_keys().collect();
        assert_eq!(found, ["job.json", "known"]);
        drop(queue);
        config.retention.ledger = Duration::ZERO;
        let queue = open(&config);
        queue.tidy();
        assert!(!of.0.exists() && queue.jobs(9).is_empty());
    }
}

#[test]
fn undelivered_results_do_not_stay_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.retention.undelivered = Duration::ZERO;
    config.retry.send_attempts = 1;
    let queue = open(&config);
    send(&queue, "1.1", 1).unwrap();
    queue.settle();
    let ticket = queue.take_run().unwrap().unwrap();
    predict(&ticket);
    queue.ran(&ticket, &RunOutcome::Done).unwrap();
    let ticket = queue.take_send().unwrap().unwrap();
    assert_eq!(
        queue.sent(&ticket, &away()).unwrap(),
        Some(JobState::Failed)
    );
    let reason = queue.jobs(9)[0].reason.clone().unwrap();
    assert!(
        reason.ends_with("destination `archive`: no connection"),
        "{reason}"
    );
    assert!(!ticket.results.values().any(|path| path.exists()));
}
