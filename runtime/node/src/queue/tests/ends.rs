//! Outcomes of predictions and of sending that are recorded twice or never, and jobs that cannot be started.

use super::*;

/// A queue that has power, with a job that runs.
fn running(config: &Config) -> (JobQueue, RunTicket) {
    let queue = open_until(config, 1000).unwrap();
    send(&queue, "1.1", 1).unwrap();
    queue.settle();
    let ticket = queue.take_run().unwrap().unwrap();
    predict(&ticket);
    (queue, ticket)
}

/// A further job that is ready to be run.
fn another(queue: &JobQueue) -> JobKey {
    let other = queue.key(0, "1.2", "1.2.4");
    let mut association = Association::open(queue, "A");
    association.send_to(&other, "1.1", 1).unwrap();
    association.leave(true);
    queue.settle();
    other
}

#[test]
fn an_end_that_is_noted_does_not_end_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (queue, run) = running(&config);
    // Power is lost while unneeded files are removed.
    fs::create_dir(folder_of(&queue).0.join("run-old")).unwrap();
    set_power(&queue, 2);
    assert_eq!(
        queue.ran(&run, &RunOutcome::Done).unwrap(),
        JobState::Sending
    );
    set_power(&queue, 1000);
    let ticket = queue.take_send().unwrap().unwrap();
    for end in [RunOutcome::Done, RunOutcome::Interrupted] {
        assert_eq!(queue.ran(&run, &end).unwrap(), JobState::Sending);
    }
    assert!(queue.take_send().unwrap().is_none());
    set_power(&queue, 1);
    assert_eq!(
        queue.sent(&ticket, &SendOutcome::Done).unwrap(),
        Some(JobState::Done)
    );
    set_power(&queue, 1000);
    let input = folder_of(&queue).input();
    assert!(input.exists());
    queue
        .lock_jobs()
        .update(&ticket.key, |entry| entry.tidy_again = None);
    queue.tidy();
    assert!(!input.exists());
    // After a restart, the previous outcome does not count.
    send(&queue, "1.1", 2).unwrap();
    queue.settle();
    queue.take_run().unwrap().unwrap();
    queue.sent(&ticket, &SendOutcome::Done).unwrap();
    assert_eq!(state(&queue), JobState::Running);
}

#[test]
fn a_job_whose_end_is_lost_has_another_turn() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (queue, run) = running(&config);
    let resume = |queue: &JobQueue| {
        queue.lock_jobs().update(&key(queue), |entry| {
            assert!(entry.pause > crate::clock::Time::now());
            entry.pause = crate::clock::Time::default();
        })
    };
    queue.run_lost(&run);
    assert_eq!(state(&queue), JobState::Queued);
    assert!(queue.take_run().unwrap().is_none());
    resume(&queue);
    let run = queue.take_run().unwrap().unwrap();
    predict(&run);
    queue.ran(&run, &RunOutcome::Done).unwrap();
    // A recorded outcome is not lost.
    queue.run_lost(&run);
    let ticket = queue.take_send().unwrap().unwrap();
    queue.send_lost(&ticket);
    assert!(queue.take_send().unwrap().is_none());
    resume(&queue);
    assert!(queue.take_send().unwrap().is_some());
}

#[test]
fn a_job_that_cannot_be_begun_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (queue, run) = running(&config);
    queue.ran(&run, &RunOutcome::Interrupted).unwrap();
    let other = another(&queue);
    let away = folder.path().join("away");
    fs::rename(&folder_of(&queue).0, &away).unwrap();
    let (begun, failed): (Vec<_>, Vec<_>) = [(); 2]
        .map(|()| queue.take_run())
        .into_iter()
        .partition(Result::is_ok);
    assert_eq!(failed.len(), 1);
    let run = begun.into_iter().next().unwrap().unwrap().unwrap();
    assert_eq!(run.key, other);
    predict(&run);
    queue.ran(&run, &RunOutcome::Done).unwrap();
    // Neither does one that cannot be sent.
    fs::rename(&away, &folder_of(&queue).0).unwrap();
    queue.lock_jobs().update(&key(&queue), |entry| {
        entry.pause = crate::clock::Time::default();
        entry.job.state = JobState::Sending;
        entry.job.output = Some("run-".to_owned());
        entry.job.results = 1;
    });
    fs::rename(&folder_of(&queue).0, &away).unwrap();
    // A service sends one job at a time; the next call finds the other one.
    let taken = [(); 2].map(|()| queue.take_send());
    let taken = taken.into_iter().find_map(Result::ok).flatten().unwrap();
    assert_eq!(taken.key, other);
}

#[test]
fn results_that_are_gone_are_not_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (queue, run) = running(&config);
    queue.ran(&run, &RunOutcome::Done).unwrap();
    fs::remove_dir_all(&run.output).unwrap();
    assert!(queue.take_send().unwrap().is_none());
    assert_eq!(state(&queue), JobState::Failed);
    let reason = Reason::ResultsGone { results: 1 }.to_string();
    assert_eq!(queue.jobs(1)[0].reason.as_ref(), Some(&reason));
    // Its images are sent again, and succeed.
    let mut archive = Vec::new();
    send(&queue, "1.1", 1).unwrap();
    advance(&queue, &mut archive).unwrap();
    assert_eq!((state(&queue), archive.len()), (JobState::Done, 1));
}

#[test]
fn images_that_are_gone_are_not_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (queue, mut archive) = (open(&config(folder.path())), Vec::new());
    let lose = |queue: &JobQueue| {
        let input = fs::read_dir(folder_of(queue).input()).unwrap();
        fs::remove_file(input.last().unwrap().unwrap().path()).unwrap();
    };
    let reason = Reason::ImagesGone { images: 1 }.to_string();
    for begun in [false, true] {
        for index in 1..=3 {
            send(&queue, &format!("1.{index}"), index).unwrap();
        }
        queue.settle();
        if begun {
            let run = queue.take_run().unwrap().unwrap();
            predict(&run);
            lose(&queue);
            assert_eq!(
                queue.ran(&run, &RunOutcome::Done).unwrap(),
                JobState::Failed
            );
        } else {
            lose(&queue);
            assert!(queue.take_run().unwrap().is_none());
        }
        assert_eq!(state(&queue), JobState::Failed);
        assert_eq!(queue.jobs(1)[0].reason.as_ref(), Some(&reason));
    }
    for index in 1..=3 {
        send(&queue, &format!("1.{index}"), index).unwrap();
    }
    advance(&queue, &mut archive).unwrap();
    assert_eq!(archive[0].lines().count(), 3);
}

#[test]
fn a_destination_that_is_busy_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.services[0].destinations.push("other".to_owned());
    let queue = open_until(&config, 1000).unwrap();
    let keys = [key(&queue), another(&queue)];
    send(&queue, "1.1", 1).unwrap();
    queue.settle();
    for _ in 0..2 {
        let run = queue.take_run().unwrap().unwrap();
        predict(&run);
        queue.ran(&run, &RunOutcome::Done).unwrap();
    }
    let take = || queue.take_send().unwrap().unwrap();
    // The first destination does not answer.
    let (silent, first) = (take(), take());
    assert_eq!(silent.destination.as_deref(), Some("archive"));
    assert_eq!(first.destination.as_deref(), Some("other"));
    assert!(queue.take_send().unwrap().is_none());
    assert_eq!(queue.sent(&first, &SendOutcome::Done).unwrap(), None);
    let second = take();
    assert_eq!(second.destination.as_deref(), Some("other"));
    assert_eq!(queue.sent(&second, &SendOutcome::Done).unwrap(), None);
    assert!(queue.take_send().unwrap().is_none());
    assert!(keys.contains(&first.key) && keys.contains(&second.key) && first.key != second.key);
    // After it was tried as well, the job's outcome is recorded.
    assert_eq!(
        queue.sent(&silent, &away()).unwrap(),
        Some(JobState::Sending)
    );
    let reason = queue.jobs(9).into_iter().find_map(|job| job.reason);
    assert_eq!(reason.unwrap(), "destination `archive`: no connection");
    let last = take();
    assert_eq!(last.destination.as_deref(), Some("archive"));
    assert_ne!(last.key, silent.key);
    assert_eq!(
        queue.sent(&last, &SendOutcome::Done).unwrap(),
        Some(JobState::Done)
    );
}
