//! Several callers that send into one job.

use super::*;

#[test]
fn nobody_replaces_what_another_has_sent() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let queue = open(&config);
    let mut first = Association::open(&queue, "A");
    first.send("1.1", 1).unwrap();
    first.leave(true);
    let conflict = |queue: &JobQueue| {
        let mut other = Association::open(queue, "B");
        // The same content is accepted.
        assert_eq!(other.send("1.1", 1).unwrap(), Admission::Known);
        let refused = other.send("1.1", 2);
        assert!(
            matches!(refused, Err(AdmissionError::Conflict)),
            "{refused:?}"
        );
        // It has no part in the job, so its unfinished association does not matter.
        assert!(other.touched.is_empty());
        other.leave(false);
    };
    conflict(&queue);
    queue.settle();
    assert_eq!(state(&queue), JobState::Queued);
    assert!(!queue.jobs(1)[0].doubt);
    conflict(&queue);
    drop(queue);
    // The next node has the same state.
    let queue = open(&config);
    conflict(&queue);
    let mut archive = Vec::new();
    send(&queue, "1.1", 3).unwrap();
    advance(&queue, &mut archive).unwrap();
    let own = queue.arrival("1.1", &[3; 32], "A").content;
    assert!(archive[0].contains(&own));
}

#[test]
fn what_another_sends_of_a_job_that_has_ended_is_not_mixed_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.retention.keep = Keep::All;
    let (queue, mut archive) = (open(&config), Vec::new());
    send(&queue, "1.1", 1).unwrap();
    send(&queue, "1.2", 2).unwrap();
    advance(&queue, &mut archive).unwrap();
    assert_eq!(state(&queue), JobState::Done);
    let mut other = Association::open(&queue, "B");
    other.send("1.1", 11).unwrap();
    other.leave(true);
    queue.settle();
    assert_eq!(state(&queue), JobState::Failed);
    let mut other = Association::open(&queue, "B");
    other.send("1.1", 11).unwrap();
    other.send("1.2", 12).unwrap();
    other.leave(true);
    advance(&queue, &mut archive).unwrap();
    assert_eq!(state(&queue), JobState::Done);
    let last = archive.last().unwrap();
    for content in [11, 12] {
        let content = queue.arrival("1.1", &[content; 32], "B").content;
        assert!(last.contains(&content));
    }
}

#[test]
fn others_hold_a_job_back_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let service = &mut config.services[0];
    service.quiet = Duration::from_millis(200);
    service.hold = Duration::from_millis(300);
    let queue = open(&config);
    send(&queue, "1.1", 1).unwrap();
    let mut others = Association::open(&queue, "B");
    let start = std::time::Instant::now();
    for number in 2..=255 {
        others.send(&format!("1.{number}"), number).unwrap();
        // Copies of known instances do not hold it back.
        send(&queue, "1.2", 2).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        queue.settle();
        if state(&queue) != JobState::Collecting {
            let took = start.elapsed();
            assert!(took > Duration::from_millis(300), "{took:?}");
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn callers_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&config(folder.path()));
    let jobs = |caller: &str, series: std::ops::Range<u8>| {
        let mut association = Association::open(&queue, caller);
        for number in series {
            let key = queue.key(0, "1.2", &format!("1.2.{number}"));
            association.send_to(&key, "1.1", number).unwrap();
        }
        association.leave(true);
        queue.settle();
    };
    jobs("A", 0..20);
    jobs("B", 20..22);
    let names = |series: std::ops::Range<u8>| -> Vec<JobKey> {
        series
            .map(|number| queue.key(0, "1.2", &format!("1.2.{number}")))
            .collect()
    };
    let of_b = names(20..22);
    let taken: Vec<bool> = (0..6)
        .map(|_| {
            let ticket = queue.take_run().unwrap().unwrap();
            of_b.contains(&ticket.key)
        })
        .collect();
    assert_eq!(taken.iter().filter(|is_b| **is_b).count(), 2, "{taken:?}");
    assert!(
        taken[..4].iter().filter(|is_b| **is_b).count() == 2,
        "{taken:?}"
    );
}

#[test]
fn instances_that_come_meanwhile_do_not_save_those_that_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.retention.keep = Keep::All;
    let (queue, mut archive) = (open(&config), Vec::new());
    for index in 1..=3 {
        send(&queue, &format!("1.{index}"), index).unwrap();
    }
    advance(&queue, &mut archive).unwrap();
    send(&queue, "1.4", 4).unwrap();
    let mut other = Association::open(&queue, "B");
    other.send("1.2", 12).unwrap();
    other.leave(true);
    queue.settle();
    assert_eq!(state(&queue), JobState::Failed);
    assert_eq!(fs::read_dir(folder_of(&queue).input()).unwrap().count(), 2);
}

#[test]
fn what_is_replaced_goes_whole_whenever_the_power_goes() {
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.retention.keep = Keep::All;
        let (queue, mut archive) = (open_until(&config, 1000).unwrap(), Vec::new());
        for index in 1..=4 {
            send(&queue, &format!("1.{index}"), index).unwrap();
        }
        advance(&queue, &mut archive).unwrap();
        assert_eq!(state(&queue), JobState::Done);
        let mut other = Association::open(&queue, "B");
        other.send("1.2", 12).unwrap();
        other.leave(true);
        set_power(&queue, steps);
        queue.settle();
        let went = state(&queue) == JobState::Failed;
        drop(queue);
        // Another node continues, and mixes nothing.
        let queue = open(&config);
        queue.settle();
        assert_eq!(state(&queue), JobState::Failed, "step {steps}");
        let input = fs::read_dir(folder_of(&queue).input()).unwrap();
        assert_eq!(input.count(), 1, "step {steps}");
        // All instances of A come again: none of them counts as known.
        for index in [1, 3, 4] {
            let again = send(&queue, &format!("1.{index}"), index);
            assert_eq!(again.unwrap(), Admission::New, "step {steps}");
        }
        if went {
            assert!(steps >= 8, "{steps}");
            return;
        }
    }
}
