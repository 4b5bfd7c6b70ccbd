//! What is made of faults: of senders, of the machine, of services.

use super::*;

#[test]
fn what_one_caller_left_undone_another_does_not_make_good() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.services[0].cut_quiet = Duration::from_secs(600);
    let queue = open(&config);
    let send = |caller: &str, uid: &str, whole: bool| {
        let file = queue.incoming().join("0.part");
        fs::write(&file, uid).unwrap();
        let (mut touched, name) = (HashSet::new(), Name::new(uid, uid.as_bytes()));
        queue
            .admit(0, &key(&queue), &name, &file, &mut touched)
            .unwrap();
        queue.leave(&touched, caller, whole);
        queue.settle();
        state(&queue)
    };
    assert_eq!(send("A", "1.1", false), State::Collecting);
    assert_eq!(send("B", "1.2", true), State::Collecting);
    assert_eq!(send("A", "1.3", true), State::Queued);
    assert!(!queue.jobs(1)[0].doubt);
    // After the long wait what is there is taken, and said to be doubtful.
    drop(queue);
    config.services[0].cut_quiet = Duration::ZERO;
    let queue = open(&config);
    let file = queue.incoming().join("0.part");
    fs::write(&file, b"x").unwrap();
    let (mut touched, name) = (HashSet::new(), Name::new("1.4", &[4; 32]));
    queue
        .admit(0, &key(&queue), &name, &file, &mut touched)
        .unwrap();
    queue.leave(&touched, "A", false);
    queue.settle();
    assert_eq!(state(&queue), State::Queued);
    assert!(queue.jobs(1)[0].doubt);
}

#[test]
fn what_failed_for_no_fault_of_its_images_is_tried_again_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.retry.run_attempts = 1;
    for (end, expected) in [
        (RunEnd::Retry("no memory".to_owned()), State::Queued),
        (RunEnd::Failed("no volume".to_owned()), State::Failed),
    ] {
        let queue = open(&config);
        send(&queue, "1.1", 1).unwrap();
        queue.settle();
        let ticket = queue.take_run().unwrap().unwrap();
        assert_eq!(queue.ran(&ticket, &end).unwrap(), State::Failed);
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
        let file = queue.incoming().join("0.part");
        fs::write(&file, b"x").unwrap();
        let service = &queue.services()[0];
        let key = Key::new(service, "1.2", &format!("1.2.{number}"));
        let (mut touched, name) = (HashSet::new(), Name::new("1.1", &[1; 32]));
        queue.admit(0, &key, &name, &file, &mut touched).unwrap();
        queue.leave(&touched, "A", true);
        queue.settle();
        let ticket = queue.take_run().unwrap().unwrap();
        let end = RunEnd::Failed("no volume".to_owned());
        queue.ran(&ticket, &end).unwrap();
    }
    let failing = queue.failing();
    let title = &queue.services()[0].ae_title;
    assert_eq!(failing.get(title).map(String::as_str), Some("no volume"));
}
