//! Storage that was written by others: earlier versions, clocks that go wrong, disks that fail.

use super::*;

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
    // The one that brought it may still wait for the disk.
    let before = syncs();
    assert_eq!(send(&queue, "1.1", 1).unwrap(), Admitted::Known);
    assert_eq!(syncs(), before + 1);
}

#[test]
fn the_last_copy_that_came_counts_whatever_the_clock_says() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let queue = open(&config);
    send(&queue, "1.1", 1).unwrap();
    let arrived = folder_of(&queue).arrived();
    let first = fs::read_dir(&arrived).unwrap().next().unwrap().unwrap();
    let (first, bytes) = (first.path(), fs::read(first.path()).unwrap());
    send(&queue, "1.1", 2).unwrap();
    drop(queue);
    // As a crash leaves it between the two, by a clock that went back in between.
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
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let queue = open(&config);
    send(&queue, "1.1", 1).unwrap();
    let damaged = key(&queue);
    let mut association = Association::open(&queue, "A");
    let good = queue.key(0, "1.2", "1.2.4");
    association.send_to(&good, "1.1", 1).unwrap();
    association.leave(true);
    let of = folder_of(&queue);
    drop(queue);
    // What is no folder cannot be listed.
    fs::rename(of.arrived(), of.0.join("elsewhere")).unwrap();
    fs::write(of.arrived(), b"").unwrap();
    for number in 1..=2 {
        let queue = open(&config);
        assert_eq!(queue.damaged(), number);
        queue.settle();
        let jobs = queue.jobs(9);
        assert!(jobs.iter().any(|job| job.id == good.0));
        // The same once more: what was set aside before stays.
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

/// A job as earlier versions left it, whose names are digests without a key.
fn earlier(storage: &Path, series: &str, state: &str, of: &str) -> (String, String) {
    let plain = |text: &str| digest([text.as_bytes()]);
    let name = digest(["VESAL", "1.2", series].map(str::as_bytes));
    let folder = storage.join("jobs").join(&name);
    fs::create_dir_all(folder.join(of)).unwrap();
    let content = hexadecimal(&[7; 8]);
    let file = format!("{}.{content}.dcm", plain("1.1"));
    fs::write(folder.join(of).join(&file), b"image").unwrap();
    fs::write(folder.join("known"), format!("{file}\n")).unwrap();
    let note = format!(
        r#"{{"version": 1, "service": "VESAL", "state": "{state}", "created": 1, "changed": 1,
            "instances": 1, "doubt": false, "reason": "it ended", "delivered": {{"archive": ["{}"]}}}}"#,
        plain("a_seg.dcm")
    );
    fs::write(folder.join("job.json"), note).unwrap();
    (name, file)
}

#[test]
fn jobs_of_earlier_versions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (plain, _) = earlier(folder.path(), "1.2.3", "collecting", "arrived");
    earlier(folder.path(), "1.2.4", "failed", "input");
    let (queue, mut archive) = (open(&config), Vec::new());
    assert!(!folder.path().join("jobs.1").exists());
    assert!(!folder.path().join("jobs").join(plain).exists());
    assert_eq!(queue.damaged(), 0);
    let jobs = queue.jobs(9);
    assert_eq!(jobs.len(), 2);
    assert_eq!(
        jobs[1].reason.as_deref(),
        Some("noted by an earlier version of the program")
    );
    // The rest of the series comes, and finds the job.
    send(&queue, "1.2", 2).unwrap();
    advance(&queue, &mut archive).unwrap();
    assert_eq!(archive.len(), 1);
    assert_eq!(archive[0].lines().count(), 2);
    assert_eq!(state(&queue), State::Done);
    let known = folder_of(&queue).known().unwrap().unwrap();
    assert!(known.contains_key(&queue.arrival("1.1", &[0; 32], "A").uid));
}

#[test]
fn the_change_from_earlier_versions_survives_a_loss_of_power() {
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        earlier(folder.path(), "1.2.3", "collecting", "arrived");
        let went = open_until(&config, steps).is_ok_and(|queue| queue.jobs(9).len() == 1);
        let (queue, mut archive) = (open(&config), Vec::new());
        send(&queue, "1.2", 2).unwrap();
        for _ in 0..3 {
            advance(&queue, &mut archive).unwrap();
        }
        assert_eq!(archive.len(), 1, "step {steps}");
        assert_eq!(archive[0].lines().count(), 2, "step {steps}");
        if went {
            assert!(steps > 5);
            return;
        }
    }
}

#[test]
fn a_key_that_is_gone_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let queue = open(&config);
    send(&queue, "1.1", 1).unwrap();
    let key = queue.key_file();
    drop(queue);
    fs::remove_file(key).unwrap();
    assert!(matches!(Queue::open(&config), Err(OpenError::NoKey { .. })));
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
