//! Faults of senders, of the machine, and of services.

use super::*;
use crate::config::Doubtful;

#[test]
fn what_one_caller_left_undone_another_does_not_make_good() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.services[0].cut_quiet = Duration::from_secs(600);
    let queue = open(&config);
    let send = |caller: &str, uid: &str, whole: bool| {
        let mut association = Association::open(&queue, caller);
        association.send(uid, 1).unwrap();
        association.leave(whole);
        queue.settle();
        state(&queue)
    };
    assert_eq!(send("A", "1.1", false), JobState::Collecting);
    assert_eq!(send("B", "1.2", true), JobState::Collecting);
    // Two associations broke off: both callers have to send again.
    assert_eq!(send("B", "1.3", false), JobState::Collecting);
    assert_eq!(send("B", "1.4", true), JobState::Collecting);
    assert_eq!(send("A", "1.5", true), JobState::Queued);
    assert!(!queue.jobs(1)[0].doubt);
}

/// A job that is in doubt after the long quiet period.
fn doubtful(config: &Config) -> JobQueue {
    let queue = open(config);
    let mut association = Association::open(&queue, "A");
    association.send("1.1", 1).unwrap();
    association.leave(false);
    queue.settle();
    assert!(queue.jobs(1)[0].doubt);
    assert_eq!(queue.doubtful(), 1);
    queue
}

#[test]
fn what_is_in_doubt_is_failed_marked_or_sent() {
    for (doubtful_is, marked) in [(Doubtful::Mark, true), (Doubtful::Send, false)] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.services[0].doubtful = doubtful_is;
        let queue = doubtful(&config);
        let ticket = queue.take_run().unwrap().unwrap();
        assert_eq!(ticket.mark_incomplete, marked);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.services[0].doubtful = Doubtful::Fail;
    let queue = doubtful(&config);
    assert_eq!(state(&queue), JobState::Failed);
    let reason = queue.jobs(1)[0].reason.clone().unwrap();
    assert!(reason.contains("send all again"), "{reason}");
    assert!(queue.take_run().unwrap().is_none());
    assert_eq!(fs::read_dir(folder_of(&queue).input()).unwrap().count(), 1);
    // Another caller does not resolve it, nor does the next node.
    drop(queue);
    let queue = open(&config);
    let mut association = Association::open(&queue, "B");
    association.send("1.1", 1).unwrap();
    association.leave(true);
    queue.settle();
    assert_eq!(state(&queue), JobState::Failed);
    // Sent again completely, it is no longer in doubt.
    let mut association = Association::open(&queue, "A");
    association.send("1.1", 1).unwrap();
    association.send("1.2", 2).unwrap();
    association.leave(true);
    queue.settle();
    assert_eq!(state(&queue), JobState::Queued);
    assert_eq!(queue.doubtful(), 0);
}

#[test]
fn a_result_that_was_marked_is_made_again_when_the_doubt_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.retention.keep = Keep::All;
    let queue = doubtful(&config);
    let mut archive = Vec::new();
    advance(&queue, &mut archive).unwrap();
    assert_eq!(state(&queue), JobState::Done);
    // All instances had been sent.
    send(&queue, "1.1", 1).unwrap();
    queue.settle();
    let ticket = queue.take_run().unwrap().unwrap();
    assert!(!ticket.mark_incomplete);
}

#[test]
fn what_failed_for_no_fault_of_its_images_is_tried_again_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.retry.run_attempts = 1;
    for (end, expected) in [
        (RunOutcome::Retry(Reason::Memory), JobState::Queued),
        (RunOutcome::Failed(Reason::Geometry), JobState::Failed),
        (
            RunOutcome::Failed(Reason::TimedOut { seconds: 1 }),
            JobState::Failed,
        ),
        (RunOutcome::Failed(Reason::BundleChanged), JobState::Queued),
    ] {
        let queue = open(&config);
        send(&queue, "1.1", 1).unwrap();
        queue.settle();
        let ticket = queue.take_run().unwrap().unwrap();
        assert_eq!(queue.ran(&ticket, &end).unwrap(), JobState::Failed);
        drop(queue);
        assert_eq!(state(&open(&config)), expected);
    }
}

#[test]
fn services_that_fail_again_and_again_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&config(folder.path()));
    for number in 0..3 {
        assert!(queue.failing().is_empty(), "{number}");
        let key = queue.key(0, "1.2", &format!("1.2.{number}"));
        let mut association = Association::open(&queue, "A");
        association.send_to(&key, "1.1", 1).unwrap();
        association.leave(true);
        queue.settle();
        let ticket = queue.take_run().unwrap().unwrap();
        queue
            .ran(&ticket, &RunOutcome::Failed(Reason::Geometry))
            .unwrap();
    }
    let failing = queue.failing();
    let title = &queue.services()[0].ae_title;
    assert_eq!(failing.get(title), Some(&Reason::Geometry.to_string()));
}

#[test]
fn what_never_came_leaves_every_job_of_its_caller_undone() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.services[0].cut_quiet = Duration::from_secs(600);
    let queue = open(&config);
    // One association for each instance; the next one breaks off in its first.
    let mut association = Association::open(&queue, "A");
    association.send("1.1", 1).unwrap();
    association.leave(true);
    Association::open(&queue, "B").leave(false);
    Association::open(&queue, "A").leave(false);
    queue.settle();
    assert_eq!(state(&queue), JobState::Collecting);
    let others = || queue.key(0, "1.2", "1.2.4");
    let mut association = Association::open(&queue, "B");
    association.send_to(&others(), "1.1", 1).unwrap();
    association.leave(true);
    queue.settle();
    assert_eq!(state(&queue), JobState::Collecting);
    // It is sent after all, to whichever job it belongs.
    let mut association = Association::open(&queue, "A");
    association.send_to(&others(), "1.2", 2).unwrap();
    association.leave(true);
    queue.settle();
    assert_eq!(state(&queue), JobState::Queued);
    assert!(!queue.jobs(9).iter().any(|job| job.doubt));
    // Only the job of the association is resolved.
    let mut association = Association::open(&queue, "A");
    association.send("1.3", 3).unwrap();
    association.leave(false);
    let mut association = Association::open(&queue, "A");
    association.send_to(&others(), "1.4", 4).unwrap();
    association.leave(true);
    let undone = queue.lock_jobs().get(&key(&queue)).unwrap().undone.clone();
    assert_eq!(
        undone.into_iter().collect::<Vec<_>>(),
        [IncompleteReason::Caller("A".to_owned())]
    );
}

#[test]
fn stragglers_of_a_job_that_failed_are_not_run_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.retention.failed = Duration::ZERO;
    let (queue, mut archive) = (open(&config), Vec::new());
    for index in 1..=3 {
        send(&queue, &format!("1.{index}"), index).unwrap();
    }
    queue.settle();
    let ticket = queue.take_run().unwrap().unwrap();
    let end = RunOutcome::Failed(Reason::Geometry);
    assert_eq!(queue.ran(&ticket, &end).unwrap(), JobState::Failed);
    queue.tidy();
    assert!(!folder_of(&queue).input().exists());
    // Fewer than before, one after the other.
    for index in 1..=2 {
        send(&queue, &format!("1.{index}"), index).unwrap();
        queue.settle();
        assert_eq!(state(&queue), JobState::Failed);
        let reason = queue.jobs(1)[0].reason.clone().unwrap();
        assert!(reason.contains("send all again"), "{reason}");
    }
    for index in 1..=3 {
        send(&queue, &format!("1.{index}"), index).unwrap();
    }
    advance(&queue, &mut archive).unwrap();
    assert_eq!(archive.len(), 1);
    assert_eq!(archive[0].lines().count(), 3);
}
