//! Thousands of studies at once: every result has the patient and the images that were sent last, and none is lost.

#[path = "../../io/tests/dicom_files/mod.rs"]
mod dicom_files;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dicom_files::{EXPLICIT, Elements, PATIENT_ID, PATIENT_NAME, SERIES};
use support::archive::Archive;
use support::{SEG, Said, Sender, config, file, slice};
use vesal_io::dicom::Instance;
use vesal_node::queue::{JobState, RunOutcome, digest};
use vesal_node::stop::Stop;
use vesal_node::work::PredictionRequest;
use vesal_node::{Node, Predict, Reason};

const STUDIES: usize = 2000;
const SENDERS: usize = 4;
const SLICES: usize = 2;
/// Studies of an association.
const BATCH: usize = 25;

/// Longer than anything takes in this test.
const LONG: Duration = Duration::from_secs(120);

/// Value of an element of explicit little endian bytes, at the first occurrence of its tag.
fn text(bytes: &[u8], (group, element): (u16, u16), vr: &[u8; 2]) -> String {
    let mut tag = [group.to_le_bytes(), element.to_le_bytes()].concat();
    tag.extend(vr);
    let at = bytes
        .windows(6)
        .position(|here| here == tag)
        .expect("an element");
    let length = u16::from_le_bytes([bytes[at + 6], bytes[at + 7]]) as usize;
    let value = String::from_utf8(bytes[at + 8..at + 8 + length].to_vec()).unwrap();
    value.trim_end_matches([' ', '\0']).to_owned()
}

/// Makes a result that states its patient and files; fails where they are of several patients.
struct Witness;

impl Predict for Witness {
    fn predict(&self, order: &PredictionRequest<'_>, _: &Stop) -> RunOutcome {
        let mut sources = BTreeMap::new();
        let (mut patients, mut studies) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(order.input).unwrap() {
            let path = entry.unwrap().path();
            let (instance, bytes) = (Instance::read(&path).unwrap(), fs::read(&path).unwrap());
            let data_set = &bytes[instance.data_set as usize..];
            patients.push(text(data_set, PATIENT_ID, b"LO"));
            studies.push(instance.study.clone());
            // A series has one file per instance.
            let twice = sources.insert(instance.instance, digest([data_set]));
            assert_eq!(twice, None);
        }
        for of in [&mut patients, &mut studies] {
            of.sort();
            of.dedup();
        }
        if patients.len() != 1 || studies.len() != 1 {
            let patients = patients.len();
            return RunOutcome::Failed(Reason::Patients { patients });
        }
        let of = digest(sources.values().map(String::as_bytes));
        let own = format!("2.25.{}", u128::from_str_radix(&of, 16).unwrap());
        let result = Elements::default()
            .text((0x0008, 0x0016), b"UI", SEG)
            .text((0x0008, 0x0018), b"UI", &own)
            .text((0x0008, 0x103e), b"LO", &of)
            .text(PATIENT_ID, b"LO", &patients[0])
            .text((0x0020, 0x000d), b"UI", &studies[0])
            .text(SERIES, b"UI", &format!("{own}.1"));
        fs::write(order.output.join("seg.dcm"), file(&result, SEG, &own)).unwrap();
        RunOutcome::Done
    }
}

/// The sending pattern of a study.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    /// Every slice twice.
    Twice,
    /// For another patient first, in the same association.
    Corrected,
    /// The first association breaks off after a slice.
    Cut,
    /// For another patient after the first result.
    CorrectedLater,
}

fn kind(study: usize) -> Kind {
    [
        Kind::Plain,
        Kind::Twice,
        Kind::Corrected,
        Kind::Cut,
        Kind::CorrectedLater,
    ][study % 5]
}

fn patient(study: usize, corrected: bool) -> String {
    format!("P{study}{}", if corrected { "C" } else { "" })
}

fn image(study: usize, k: usize, corrected: bool) -> (String, Vec<u8>) {
    let (uid, elements) = slice(study, k);
    let patient = patient(study, corrected);
    let elements = elements
        .text(PATIENT_ID, b"LO", &patient)
        .text(PATIENT_NAME, b"PN", &patient);
    (uid, elements.encode(EXPLICIT))
}

/// Expected digest of the input of a study's last result.
fn expected(study: usize) -> (String, String) {
    let corrected = matches!(kind(study), Kind::Corrected | Kind::CorrectedLater);
    let images: BTreeMap<String, Vec<u8>> =
        (0..SLICES).map(|k| image(study, k, corrected)).collect();
    let digests: Vec<String> = images.values().map(|bytes| digest([&bytes[..]])).collect();
    (
        patient(study, corrected),
        digest(digests.iter().map(String::as_bytes)),
    )
}

/// Sends studies in one association, slice after slice of all of them in turn.
fn send(node: &Node, studies: &[usize]) {
    for study in studies.iter().filter(|study| kind(**study) == Kind::Cut) {
        let mut sender = Sender::open(node.address());
        store(&mut sender, *study, 0, false);
        sender.put(&[7, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    }
    let mut sender = Sender::open(node.address());
    for k in 0..SLICES {
        for &study in studies {
            store(&mut sender, study, k, false);
            match kind(study) {
                Kind::Twice => store(&mut sender, study, k, false),
                Kind::Corrected => store(&mut sender, study, k, true),
                _ => {}
            }
        }
    }
    sender.release();
}

fn store(sender: &mut Sender, study: usize, k: usize, corrected: bool) {
    let (uid, bytes) = image(study, k, corrected);
    assert_eq!(sender.store(&uid, &bytes), Said::Status(0));
}

/// For each study: patient and sources of the last result.
fn last_results(archive: &Archive) -> BTreeMap<String, (String, String)> {
    let mut last = BTreeMap::new();
    for taken in archive.taken() {
        let study = text(&taken.data, (0x0020, 0x000d), b"UI");
        let patient = text(&taken.data, PATIENT_ID, b"LO");
        // Intermediate results are of a patient of this study.
        let number = study.trim_start_matches("1.");
        assert_eq!(patient.trim_end_matches('C'), format!("P{number}"));
        last.insert(study, (patient, text(&taken.data, (0x0008, 0x103e), b"LO")));
    }
    last
}

#[test]
fn every_result_is_of_what_was_sent_last() {
    // In memory, if there is such a folder, because the disk is not under test.
    let shared_memory = std::path::Path::new("/dev/shm");
    let folder = if shared_memory.is_dir() {
        tempfile::tempdir_in(shared_memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    };
    let archive = Archive::start(0, |_, has| Some(if has { 0x0111 } else { 0 }));
    let mut config = config(folder.path(), archive.port, "", "");
    config.workers = 4;
    // The node may notice the end of an association late, while the same sender opens the next.
    config.limits.associations = SENDERS * BATCH;
    config.limits.associations_per_caller = SENDERS * BATCH;
    config.limits.connections_per_address = SENDERS * BATCH;
    // Slices of a study are interleaved with those of others, so quiet periods may pass on slow machines.
    (config.services[0].hold, config.services[0].cut_quiet) = (LONG, LONG);
    let node = Node::start(config, Arc::new(Witness)).unwrap();
    let end = Instant::now() + LONG;
    let studies: Vec<usize> = (1..=STUDIES).collect();
    let send_all = |studies: &[usize], send: &(dyn Fn(&[usize]) + Sync)| {
        thread::scope(|scope| {
            for part in studies.chunks(studies.len().div_ceil(SENDERS)) {
                scope.spawn(move || part.chunks(BATCH).for_each(send));
            }
        });
    };
    send_all(&studies, &|studies| send(&node, studies));
    let wait = |what: &str, so: &dyn Fn() -> bool| {
        while !so() {
            assert!(Instant::now() < end, "waited in vain: {what}");
            thread::sleep(Duration::from_millis(100));
        }
    };
    let done = || node.shared().queue.counts()["VESAL"][JobState::Done.index()];
    wait("all are done", &|| done() == STUDIES);
    assert_eq!(last_results(&archive).len(), STUDIES);
    let later = studies.iter().copied();
    let later: Vec<usize> = later
        .filter(|study| kind(*study) == Kind::CorrectedLater)
        .collect();
    send_all(&later, &|studies| {
        let mut sender = Sender::open(node.address());
        for &study in studies {
            (0..SLICES).for_each(|k| store(&mut sender, study, k, true));
        }
        sender.release();
    });
    let is_last = |last: &BTreeMap<String, (String, String)>, study: usize| {
        last.get(&format!("1.{study}")) == Some(&expected(study))
    };
    wait("the corrected ones have results of their own", &|| {
        let last = last_results(&archive);
        done() == STUDIES && later.iter().all(|study| is_last(&last, *study))
    });
    let last = last_results(&archive);
    let wrong: Vec<_> = studies
        .iter()
        .filter(|study| !is_last(&last, **study))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    node.stop();
}
