//! Answers of a source about a job that changes meanwhile.

use super::*;

/// A queue whose jobs wait forever unless a source's count agrees.
fn slow(storage: &Path) -> JobQueue {
    with_cut_quiet(storage, Duration::from_secs(600))
}

fn with_cut_quiet(storage: &Path, cut_quiet: Duration) -> JobQueue {
    let mut config = config(storage);
    let service = &mut config.services[0];
    (service.quiet, service.cut_quiet) = (Duration::from_secs(600), cut_quiet);
    config.retention.keep = Keep::All;
    open(&config)
}

/// Records that the source states this number, when asked now.
fn count(queue: &JobQueue, expected: usize) -> SourceCount {
    let held = queue.held(&key(queue)).unwrap().unwrap();
    let counted = SourceCount {
        expected,
        instances: held.instances,
        next: held.next,
    };
    queue.note_count(&key(queue), counted);
    queue.settle();
    counted
}

#[test]
fn instances_that_are_about_to_be_replaced_make_no_job_whole() {
    let folder = tempfile::tempdir().unwrap();
    let queue = slow(folder.path());
    for index in 1..=3 {
        send(&queue, &format!("1.{index}"), index).unwrap();
    }
    count(&queue, 3);
    assert_eq!(state(&queue), JobState::Queued);
    // All are sent again, corrected; one of them does not complete the job.
    send(&queue, "1.1", 11).unwrap();
    assert_eq!(count(&queue, 3).instances, 1);
    assert_eq!(queue.unsettled().len(), 1);
    send(&queue, "1.2", 12).unwrap();
    send(&queue, "1.3", 13).unwrap();
    assert_eq!(count(&queue, 3).instances, 3);
    assert!(queue.unsettled().is_empty());
    assert!(!queue.jobs(1)[0].doubt);
}

#[test]
fn instances_that_wait_are_replaced_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let queue = slow(folder.path());
    for content in [0, 10] {
        for index in 1..=3 {
            send(&queue, &format!("1.{index}"), content + index).unwrap();
            let held = queue.held(&key(&queue)).unwrap().unwrap();
            assert_eq!(held.instances, usize::from(index));
        }
    }
    count(&queue, 3);
    assert_eq!(state(&queue), JobState::Queued);
}

#[test]
fn a_mixture_stays_in_doubt_whatever_the_source_has() {
    let folder = tempfile::tempdir().unwrap();
    let queue = with_cut_quiet(folder.path(), Duration::from_millis(200));
    for index in 1..=3 {
        send(&queue, &format!("1.{index}"), index).unwrap();
    }
    count(&queue, 3);
    let mut association = Association::open(&queue, "A");
    association.send("1.1", 11).unwrap();
    association.leave(false);
    count(&queue, 3);
    // After the quiet period it is included, with a line in the log.
    std::thread::sleep(Duration::from_millis(300));
    queue.settle();
    assert!(queue.unsettled().is_empty());
    assert!(queue.jobs(1)[0].doubt);
}

#[test]
fn what_was_said_of_fewer_instances_does_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    let queue = slow(folder.path());
    send(&queue, "1.1", 1).unwrap();
    let before = count(&queue, 1);
    assert_eq!(state(&queue), JobState::Queued);
    // The answer comes again after the job was completed, and after another instance arrived.
    let counted = |queue: &JobQueue| queue.lock_jobs().get(&key(queue)).unwrap().counted;
    queue.note_count(&key(&queue), before);
    assert_eq!(counted(&queue), None);
    send(&queue, "1.2", 2).unwrap();
    queue.note_count(&key(&queue), before);
    assert_eq!(counted(&queue), None);
}
