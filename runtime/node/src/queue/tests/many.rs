//! Many jobs: periodic work does not depend on the number of waiting jobs.

use std::time::Instant;

use super::*;

const JOBS: u32 = 20_000;

#[test]
fn twenty_thousand_jobs_cost_no_more_than_one() {
    let storage = tempfile::tempdir().unwrap();
    let mut config = config(storage.path());
    config.services[0].quiet = Duration::from_secs(3600);
    config.limits.jobs = JOBS as usize;
    let queue = open(&config);
    let mut jobs = queue.lock_jobs();
    for number in 0..JOBS {
        let key = queue.key(0, "1.2", &format!("1.2.{number}"));
        let folder = JobFolder(queue.storage().join("jobs").join(&key.0));
        let mut job = JobRecord::new("VESAL", crate::clock::Time::now());
        // None of them is due: they wait for instances, for their next attempt, or for their destination.
        job.state =
            [JobState::Collecting, JobState::Queued, JobState::Sending][number as usize % 3];
        job.not_before = crate::clock::Time(u64::MAX);
        jobs.insert(key, job_entry::JobEntry::new(folder, job, Some(0)));
    }
    assert_eq!(jobs.unfinished(), JOBS as usize);
    let counts = jobs.counts()["VESAL"];
    assert_eq!(counts.iter().sum::<usize>(), JOBS as usize);
    drop(jobs);
    // Jobs that are not due are not visited.
    let start = Instant::now();
    for _ in 0..1000 {
        queue.settle();
        queue.tidy();
        assert!(queue.take_run().unwrap().is_none());
        assert!(queue.take_send().unwrap().is_none());
        queue.longest_wait();
        queue.failing();
        queue.undelivered();
        queue.jobs(10);
    }
    // Visiting all of them that often would take minutes.
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    // The limit of jobs is reached.
    let mut association = Association::open(&queue, "A");
    let refused = association.send_to(&queue.key(0, "1.3", "1.3.1"), "1.1", 1);
    assert!(
        matches!(refused, Err(AdmissionError::Jobs { limit }) if limit == JOBS as usize),
        "{refused:?}"
    );
}

#[test]
fn a_job_that_ends_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.limits.jobs = 1;
    let (queue, mut archive) = (open(&config), Vec::new());
    send(&queue, "1.1", 1).unwrap();
    let other = queue.key(0, "1.2", "1.2.4");
    let mut association = Association::open(&queue, "A");
    let refused = association.send_to(&other, "1.1", 1);
    assert!(matches!(refused, Err(AdmissionError::Jobs { limit: 1 })));
    // More instances of an existing job are accepted.
    send(&queue, "1.2", 2).unwrap();
    advance(&queue, &mut archive).unwrap();
    association.send_to(&other, "1.1", 1).unwrap();
    association.leave(true);
    assert_eq!(queue.jobs(9).len(), 2);
}

#[test]
fn a_job_that_begins_anew_needs_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.limits.jobs = 1;
    let (queue, mut archive) = (open(&config), Vec::new());
    send(&queue, "1.1", 1).unwrap();
    advance(&queue, &mut archive).unwrap();
    assert_eq!(state(&queue), JobState::Done);
    // Another job takes the place; known instances of the finished job are accepted.
    let other = queue.key(0, "1.2", "1.2.4");
    let mut association = Association::open(&queue, "A");
    association.send_to(&other, "1.1", 1).unwrap();
    let refused = association.send("1.2", 2);
    assert!(matches!(refused, Err(AdmissionError::Jobs { limit: 1 })));
    association.leave(true);
    advance(&queue, &mut archive).unwrap();
    // Restarted, it counts.
    send(&queue, "1.2", 2).unwrap();
    let third = queue.key(0, "1.2", "1.2.5");
    let refused = Association::open(&queue, "A").send_to(&third, "1.1", 1);
    assert!(matches!(refused, Err(AdmissionError::Jobs { limit: 1 })));
}
