//! Storage of other versions, wrong clocks, and failing disks.

use super::*;

/// A queue in a folder of its own, with a job of one instance.
fn with_a_job() -> (tempfile::TempDir, Config, JobQueue) {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let queue = open(&config);
    send(&queue, "1.1", 1).unwrap();
    (folder, config, queue)
}

#[test]
fn a_copy_is_known_when_its_name_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let queue = open(&config(folder.path()));
    send(&queue, "1.1", 1).unwrap();
    let arrived = folder_of(&queue).arrived();
    let syncs = || {
        let synced = queue.files.synced.lock().unwrap();
        synced.iter().filter(|path| **path == arrived).count()
    };
    // The association that sent it may still wait for the disk.
    let before = syncs();
    assert_eq!(send(&queue, "1.1", 1).unwrap(), Admission::Known);
    assert_eq!(syncs(), before + 1);
}

#[test]
fn the_last_copy_that_came_counts_whatever_the_clock_says() {
    let (_folder, config, queue) = with_a_job();
    let arrived = folder_of(&queue).arrived();
    let first = fs::read_dir(&arrived).unwrap().next().unwrap().unwrap();
    let (first, bytes) = (first.path(), fs::read(first.path()).unwrap());
    send(&queue, "1.1", 2).unwrap();
    drop(queue);
    // The state after a crash between the two, with a clock that was set back.
    fs::write(&first, bytes).unwrap();
    assert_eq!(fs::read_dir(&arrived).unwrap().count(), 2);
    let (queue, mut archive) = (open(&config), Vec::new());
    let content = |content: u8| queue.arrival("1.1", &[content; 32], "A").content;
    advance(&queue, &mut archive).unwrap();
    assert!(archive[0].contains(&content(2)), "{archive:?}");
    assert!(!archive[0].contains(&content(1)), "{archive:?}");
}

#[cfg(unix)]
#[test]
fn one_job_that_cannot_be_read_keeps_no_other_from_going_on() {
    let (folder, config, queue) = with_a_job();
    let damaged = key(&queue);
    let mut association = Association::open(&queue, "A");
    let good = queue.key(0, "1.2", "1.2.4");
    association.send_to(&good, "1.1", 1).unwrap();
    association.leave(true);
    let of = folder_of(&queue);
    drop(queue);
    // A file in place of the folder cannot be listed.
    fs::rename(of.arrived(), of.0.join("elsewhere")).unwrap();
    fs::write(of.arrived(), b"").unwrap();
    for number in 1..=2 {
        let queue = open(&config);
        assert_eq!(queue.damaged(), number);
        queue.settle();
        let jobs = queue.jobs(9);
        assert!(jobs.iter().any(|job| job.id == good.0));
        // The same again: jobs that were set aside before are kept.
        send(&queue, "1.1", 1).unwrap();
        let of = folder_of(&queue);
        drop(queue);
        fs::write(of.document(), b"{").unwrap();
    }
    let aside = folder.path().join("damaged");
    assert!(aside.join(&damaged.0).join("elsewhere").exists());
    assert!(
        aside
            .join(format!("{}-2", damaged.0))
            .join("arrived")
            .exists()
    );
}

#[test]
fn images_and_results_of_a_lost_note_are_set_aside() {
    for part in ["arrived", "input", "run-x"] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let queue = open(&config);
        send(&queue, "1.1", 1).unwrap();
        let of = folder_of(&queue);
        let lost = key(&queue);
        drop(queue);
        fs::remove_file(of.document()).unwrap();
        fs::rename(of.arrived(), of.0.join(part)).unwrap();
        let queue = open(&config);
        assert_eq!(queue.damaged(), 1, "{part}");
        let aside = folder.path().join("damaged").join(&lost.0).join(part);
        assert_eq!(fs::read_dir(aside).unwrap().count(), 1);
        // A folder without any is treated as absent.
        send(&queue, "1.1", 1).unwrap();
        let of = folder_of(&queue);
        drop(queue);
        fs::remove_file(of.document()).unwrap();
        fs::remove_dir_all(of.arrived()).unwrap();
        assert_eq!(open(&config).damaged(), 1);
        assert!(!of.0.exists());
    }
}

#[test]
fn storage_of_another_version_is_refused_as_it_is() {
    let (folder, config, queue) = with_a_job();
    let document = folder_of(&queue).document();
    drop(queue);
    // Its other fields may mean anything.
    let note = r#"{"version": 1, "reason": "in words"}"#;
    fs::write(&document, note).unwrap();
    let error = JobQueue::open(&config).unwrap_err();
    assert!(matches!(error, OpenError::Version { found: 1, .. }));
    assert!(error.hint().is_some());
    assert!(JobQueue::look(&config).is_err());
    assert_eq!(fs::read_to_string(&document).unwrap(), note);
    assert!(!folder.path().join("damaged").exists());
}

#[cfg(unix)]
#[test]
fn a_folder_stays_locked_when_its_file_of_the_lock_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let queue = open(&config);
    fs::remove_file(folder.path().join("lock")).unwrap();
    let in_use = |error| matches!(error, OpenError::InUse { .. });
    assert!(in_use(JobQueue::look(&config).unwrap_err()));
    assert!(in_use(JobQueue::open(&config).unwrap_err()));
    drop(queue);
    open(&config);
}

#[test]
fn a_look_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("storage");
    let config = config(&storage);
    assert_eq!(JobQueue::look(&config).unwrap(), 0);
    assert!(!storage.exists());
    let queue = open(&config);
    send(&queue, "1.1", 1).unwrap();
    queue.settle();
    queue.take_run().unwrap().unwrap();
    let document = folder_of(&queue).document();
    assert!(matches!(
        JobQueue::look(&config),
        Err(OpenError::InUse { .. })
    ));
    drop(queue);
    let before = fs::read(&document).unwrap();
    assert_eq!(JobQueue::look(&config).unwrap(), 1);
    assert_eq!(fs::read(&document).unwrap(), before);
    let key = storage.join("key");
    fs::write(&key, "short").unwrap();
    assert!(matches!(JobQueue::look(&config), Err(OpenError::Io { path, .. }) if path == key));
    fs::remove_file(&key).unwrap();
    assert!(matches!(
        JobQueue::look(&config),
        Err(OpenError::NoKey { .. })
    ));
}

#[test]
fn a_job_that_cannot_be_noted_at_the_start_goes_on() {
    let (_folder, config, queue) = with_a_job();
    queue.settle();
    queue.take_run().unwrap().unwrap();
    drop(queue);
    // The disk is full after the folder of incoming files was created.
    let queue = open_until(&config, 2).unwrap();
    assert_eq!((queue.damaged(), state(&queue)), (0, JobState::Queued));
    let noted = |queue: &JobQueue| folder_of(queue).job().unwrap().state;
    assert_eq!(noted(&queue), JobState::Running);
    // It is recorded once there is space again.
    set_power(&queue, 1000);
    queue
        .lock_jobs()
        .update(&key(&queue), |entry| entry.tidy_again = None);
    queue.tidy();
    assert_eq!(noted(&queue), JobState::Queued);
    assert!(queue.take_run().unwrap().is_some());
}

#[test]
fn what_comes_behind_a_job_that_was_set_aside_is_in_doubt() {
    let (_folder, config, queue) = with_a_job();
    let document = folder_of(&queue).document();
    drop(queue);
    fs::write(document, b"{").unwrap();
    let queue = open(&config);
    assert_eq!(queue.damaged(), 1);
    send(&queue, "1.2", 2).unwrap();
    drop(queue);
    let queue = open(&config);
    // For any name of a caller.
    for caller in ["", "damage", "damaged"] {
        let mut association = Association::open(&queue, caller);
        association.send("1.3", 3).unwrap();
        association.leave(true);
    }
    queue.settle();
    assert!(queue.jobs(1)[0].doubt);
    // Everything again.
    for index in 1..=3 {
        send(&queue, &format!("1.{index}"), index).unwrap();
    }
    queue.settle();
    assert!(!queue.jobs(1)[0].doubt);
}

#[test]
fn a_key_that_is_gone_is_told() {
    let (_folder, config, queue) = with_a_job();
    let key = queue.key_file();
    drop(queue);
    fs::remove_file(key).unwrap();
    assert!(matches!(
        JobQueue::open(&config),
        Err(OpenError::NoKey { .. })
    ));
}

#[test]
fn names_and_notes_are_made_with_the_key() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let names = folders.map(|folder| {
        let queue = open(&config(folder.path()));
        send(&queue, "1.1", 1).unwrap();
        let file = fs::read_dir(folder_of(&queue).arrived()).unwrap().next();
        (key(&queue), file.unwrap().unwrap().file_name())
    });
    assert_ne!(names[0].0, names[1].0);
    assert_ne!(names[0].1, names[1].1);
}
