//! From series to results at their destination: sent to a node of this program.

use crate::dicom_files;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::archive::{Archive, Manner};
use crate::support::{
    self, Sender, StandIn, config, free_port, get, send_series, start, states, wait_for,
};
use vesal_io::dicom::IMAGE_CLASSES;
use vesal_node::queue::RunOutcome;
use vesal_node::stop::Stop;
use vesal_node::{Node, Predict, PredictionRequest, Reason, Undelivered};

fn done(node: &Node, jobs: usize) -> bool {
    states(node) == vec!["done"; jobs]
}

const QUICK: &str =
    "[retry]\nsend_pause_seconds = 0.1\nsend_attempts = 4\nundelivered_pause_hours = 0.0001";

#[test]
fn series_become_results_at_their_destination() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(0, |_, _| Some(0));
    let node = start(config(folder.path(), archive.port, "", ""));
    for series in 1..=3 {
        send_series(node.address(), series, 4);
    }
    wait_for("all are done", || done(&node, 3));
    assert_eq!(archive.taken().len(), 3);
    // Again, with one more instance.
    send_series(node.address(), 1, 4);
    send_series(node.address(), 2, 5);
    wait_for("the second is sent again", || archive.taken().len() == 4);
    thread::sleep(Duration::from_millis(600));
    assert!(done(&node, 3));
    assert_eq!(archive.taken().len(), 4);
    node.stop();
}

#[test]
fn one_association_can_send_many_series() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(0, |_, _| Some(0));
    let node = start(config(folder.path(), archive.port, "", ""));
    let mut sender = Sender::open(node.address());
    for k in 0..3 {
        for series in 1..=4 {
            assert_eq!(sender.slice(series, k), support::Said::Status(0));
        }
    }
    sender.release();
    wait_for("all are done", || done(&node, 4));
    // A study is one job.
    let (other, service) = (tempfile::tempdir().unwrap(), "unit = \"study\"");
    let node_of_studies = start(config(other.path(), archive.port, service, ""));
    let mut sender = Sender::open(node_of_studies.address());
    for series in 1..=2 {
        let (uid, elements) = support::slice(series, 0);
        let elements = elements.text((0x0020, 0x000d), b"UI", "1.77");
        let said = sender.store(&uid, &elements.encode(dicom_files::EXPLICIT));
        assert_eq!(said, support::Said::Status(0));
    }
    sender.release();
    wait_for("the study is done", || done(&node_of_studies, 1));
    node.stop();
    node_of_studies.stop();
}

#[test]
fn a_destination_that_is_away_gets_its_results_later() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let node = start(config(folder.path(), port, "", QUICK));
    send_series(node.address(), 1, 2);
    wait_for("it counts as undelivered", || {
        states(&node) == ["undelivered"]
    });
    let (status, body) = get(node.http_address().unwrap(), "/health");
    assert_eq!(status, 503);
    assert!(
        body.contains("destination `archive` fails") && body.contains("undelivered"),
        "{body}"
    );
    // It returns, and first refuses, then breaks off, then accepts.
    let answers = [Some(0xa700), None, Some(0x0110)];
    let archive = Archive::start(port, move |count, _| {
        *answers.get(count).unwrap_or(&Some(0))
    });
    wait_for("it is done", || done(&node, 1));
    assert_eq!(archive.taken().len(), 1);
    assert_eq!(get(node.http_address().unwrap(), "/health").0, 200);
    node.stop();
}

/// A predictor with an unusable bundle.
struct NoBundle;

impl Predict for NoBundle {
    fn predict(&self, _: &PredictionRequest<'_>, _: &Stop) -> RunOutcome {
        RunOutcome::Retry(Reason::Bundle)
    }
}

#[test]
fn a_bundle_that_changes_asks_for_a_start_of_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(0, |_, _| Some(0));
    let bundle = folder.path().join("bundle");
    fs::create_dir(&bundle).unwrap();
    fs::write(bundle.join("manifest.json"), "one").unwrap();
    let storage = folder.path().join("storage");
    let mut config = config(&storage, archive.port, "", "");
    config.services[0].bundle = bundle.clone();
    let node = Node::start(config.clone(), Arc::new(NoBundle)).unwrap();
    let http = node.http_address().unwrap();
    assert!(!get(http, "/health").1.contains("bundle"));
    fs::write(bundle.join("manifest.json"), "two").unwrap();
    send_of(&node, "FIRST");
    wait_for("it fails at once", || states(&node) == ["failed"]);
    let reason = node.shared().queue.jobs(1)[0].reason.clone();
    assert_eq!(reason, Some(Reason::BundleChanged.to_string()));
    let (status, body) = get(http, "/health");
    assert!(status == 503 && body.contains("\"bundle\""), "{body}");
    node.stop();
    let node = start(config);
    wait_for("it is done", || done(&node, 1));
    node.stop();
}

/// Status of an archive that keeps its object.
fn keeps(has: bool) -> u16 {
    if has { 0x0111 } else { 0 }
}

/// A series of slices of a patient.
fn send_of(node: &Node, patient: &str) {
    let mut sender = Sender::open(node.address());
    for k in 0..2 {
        let (uid, elements) = support::slice(1, k);
        let elements = elements.text(dicom_files::PATIENT_ID, b"LO", patient);
        let said = sender.store(&uid, &elements.encode(dicom_files::EXPLICIT));
        assert_eq!(said, support::Said::Status(0));
    }
    sender.release();
}

#[test]
fn an_archive_that_keeps_the_result_of_other_images_has_not_taken_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(0, |_, has| Some(keeps(has)));
    let node = start(config(folder.path(), archive.port, "", ""));
    send_of(&node, "FIRST");
    wait_for("the first is done", || done(&node, 1));
    // Corrected, it is predicted again. Results of this predictor have the same UID, whatever is in the images.
    send_of(&node, "SECOND");
    wait_for("it is told", || states(&node) == ["undelivered"]);
    let job = &node.shared().queue.jobs(1)[0];
    let reason = job.reason.clone().unwrap();
    assert!(
        reason.contains(&Undelivered::Duplicate.to_string()),
        "{reason}"
    );
    assert_eq!(archive.taken().len(), 1);
    assert_eq!(get(node.http_address().unwrap(), "/health").0, 503);
    node.stop();
}

#[test]
fn an_archive_that_has_what_another_put_there_has_not_taken_it() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(0, |_, _| Some(0x0111));
    let node = start(config(folder.path(), archive.port, "", QUICK));
    send_of(&node, "FIRST");
    let tries = || archive.asked();
    wait_for("it is tried again", || tries() > 2);
    assert_eq!(states(&node), ["undelivered"]);
    node.stop();
}

#[test]
fn a_result_whose_answer_was_lost_may_be_there() {
    let folder = tempfile::tempdir().unwrap();
    // It accepts the first, and the response is lost.
    let archive = Archive::start(0, |count, has| match count {
        0 => None,
        _ => Some(keeps(has)),
    });
    let node = start(config(folder.path(), archive.port, "", QUICK));
    send_of(&node, "FIRST");
    wait_for("it is done", || done(&node, 1));
    assert_eq!(archive.taken().len(), 1);
    assert_eq!(archive.asked(), 2);
    node.stop();
}

#[test]
fn a_destination_that_falls_silent_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(0, |_, _| Some(0));
    let silent = Archive::start(0, |_, _| {
        thread::sleep(Duration::from_secs(60));
        None
    });
    let more = "[limits]\nshutdown_seconds = 0.5";
    let mut config = config(folder.path(), archive.port, "", more);
    let mut other = config.destinations["archive"].clone();
    other.port = silent.port;
    config.destinations.insert("silent".to_owned(), other);
    config.services[0]
        .destinations
        .insert(0, "silent".to_owned());
    let node = start(config);
    for series in 1..=3 {
        send_series(node.address(), series, 2);
    }
    wait_for("the other one has all", || archive.taken().len() == 3);
    assert_eq!(states(&node), vec!["sending"; 3]);
    assert_eq!(silent.asked(), 1);
    node.stop();
}

#[test]
fn what_was_answered_needs_no_agreement_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start_with(0, Manner::NeverReleases, |_, _| Some(0));
    let node = start(config(folder.path(), archive.port, "", ""));
    for series in 1..=3 {
        send_series(node.address(), series, 2);
    }
    wait_for("all are done", || done(&node, 3));
    node.stop();
}

#[test]
fn answers_to_something_else_count_as_none() {
    for manner in [Manner::OtherContext, Manner::OtherInstance] {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::start_with(0, manner, |_, _| Some(0));
        let node = start(config(folder.path(), archive.port, "", QUICK));
        send_series(node.address(), 1, 2);
        wait_for("it is tried again and again", || {
            states(&node) == ["undelivered"]
        });
        node.stop();
    }
}

#[test]
fn a_node_that_stops_goes_on_when_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(0, |_, _| Some(0));
    let config = config(
        folder.path(),
        archive.port,
        "",
        "[limits]\nshutdown_seconds = 1",
    );
    let pause = Duration::from_secs(60);
    let node = Node::start(config.clone(), Arc::new(StandIn { pause })).unwrap();
    send_series(node.address(), 1, 2);
    wait_for("it runs", || states(&node) == ["running"]);
    // An association is open, and in the middle of an instance.
    let mut idle = Sender::open(node.address());
    let mut busy = Sender::open(node.address());
    busy.command("1.2.3");
    let began = std::time::Instant::now();
    node.stop();
    assert!(began.elapsed() < Duration::from_secs(4));
    assert_eq!(idle.hear(), support::Said::Aborted);
    assert_eq!(busy.hear(), support::Said::Aborted);
    let node = start(config);
    wait_for("it is done", || done(&node, 1));
    assert_eq!(archive.taken().len(), 1);
    node.stop();
}

#[test]
fn nothing_but_dicom_files_names_the_patient() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(0, |_, _| Some(0));
    let more = "[retention]\nkeep = \"all\"";
    let node = start(config(folder.path(), archive.port, "", more));
    send_series(node.address(), 1, 2);
    wait_for("it is done", || done(&node, 1));
    let http = node.http_address().unwrap();
    for path in ["/health", "/queue", "/metrics"] {
        clean(get(http, path).1.as_bytes(), path);
    }
    node.stop();
    let mut dicom = 0;
    visit(folder.path(), &mut |path| {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        fs::File::open(path)
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        if name.ends_with(".dcm") {
            dicom += 1;
        } else {
            clean(&bytes, &name);
        }
    });
    assert_eq!(dicom, 3);
    assert!(IMAGE_CLASSES.contains(&dicom_files::CT));
}

fn visit(folder: &Path, act: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, act);
        } else {
            act(&path);
        }
    }
}

/// Neither name nor date of birth, nor a UID of the images.
fn clean(bytes: &[u8], of: &str) {
    let text = String::from_utf8_lossy(bytes);
    for trace in [
        dicom_files::SENTINEL,
        "SENTINEL",
        "19010203",
        "1.2.1.0",
        "1.2.1.1",
    ] {
        assert!(!text.contains(trace), "{of} holds {trace}");
    }
}

/// A predictor that panics the first time.
struct Stumbles(AtomicBool);

impl Predict for Stumbles {
    fn predict(&self, order: &PredictionRequest<'_>, stop: &Stop) -> RunOutcome {
        assert!(self.0.swap(true, Ordering::SeqCst), "a mistake");
        let pause = Duration::ZERO;
        StandIn { pause }.predict(order, stop)
    }
}

#[test]
fn a_mistake_in_a_thread_costs_a_job_one_try() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(0, |_, _| Some(0));
    let more = "[retry]\nrun_pause_seconds = 0.1";
    let config = config(folder.path(), archive.port, "", more);
    let node = Node::start(config, Arc::new(Stumbles(AtomicBool::new(false)))).unwrap();
    send_series(node.address(), 1, 2);
    wait_for("it is done", || done(&node, 1));
    assert_eq!(archive.taken().len(), 1);
    node.stop();
}
