//! Destinations that keep an existing object with a UID.

use super::*;

/// A job that is to be sent.
fn ready(queue: &JobQueue, content: u8) -> SendTicket {
    send(queue, "1.1", content).unwrap();
    queue.settle();
    let ticket = queue.take_run().unwrap().unwrap();
    predict(&ticket);
    queue.ran(&ticket, &RunOutcome::Done).unwrap();
    queue.take_send().unwrap().unwrap()
}

fn duplicate() -> SendOutcome {
    SendOutcome::Retry(Undelivered::Duplicate)
}

#[test]
fn only_what_was_sent_before_may_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let queue = open(&config);
    let ticket = ready(&queue, 1);
    let sends = |queue: &JobQueue, uid: &str| queue.sends(&ticket.key, "archive", uid).unwrap();
    assert_eq!(sends(&queue, "2.25.1"), PriorSend::Never);
    // The answer is lost, and the node ends.
    drop(queue);
    let queue = open(&config);
    assert_eq!(sends(&queue, "2.25.1"), PriorSend::Before);
    assert_eq!(sends(&queue, "2.25.2"), PriorSend::Never);
    // A refused result was not stored, nor was a duplicate.
    queue
        .refused(&ticket.key, "archive", "2.25.1", false)
        .unwrap();
    assert_eq!(sends(&queue, "2.25.1"), PriorSend::Never);
    queue
        .refused(&ticket.key, "archive", "2.25.1", true)
        .unwrap();
    drop(queue);
    assert_eq!(sends(&open(&config), "2.25.1"), PriorSend::Other);
}

#[test]
fn the_same_uid_of_other_images_is_another_result() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&config(folder.path()));
    let ticket = ready(&queue, 1);
    let uid = "2.25.1";
    queue.sends(&ticket.key, "archive", uid).unwrap();
    queue.sent(&ticket, &SendOutcome::Done).unwrap();
    // The same images with the same settings give the same result at any time.
    let job = |queue: &JobQueue| queue.lock_jobs().get(&key(queue)).unwrap().job.clone();
    let first = job(&queue).made_of;
    // Corrected images give another result; a destination with the first does not have it.
    let ticket = ready(&queue, 2);
    assert_ne!(job(&queue).made_of, first);
    for _ in 0..2 {
        let sent = queue.sends(&ticket.key, "archive", uid).unwrap();
        assert_eq!(sent, PriorSend::Other);
    }
}

#[test]
fn a_duplicate_leaves_a_job_undelivered_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.retry.send_attempts = 10;
    let queue = open(&config);
    let ticket = ready(&queue, 1);
    let state = queue.sent(&ticket, &duplicate()).unwrap();
    assert_eq!(state, Some(JobState::Undelivered));
    let reason = queue.jobs(1)[0].reason.clone().unwrap();
    assert!(
        reason.starts_with("destination `archive`: it has another object"),
        "{reason}"
    );
    assert_eq!(queue.undelivered(), 1);
}
