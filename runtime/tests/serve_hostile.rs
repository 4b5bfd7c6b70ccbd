//! `vesal serve` with senders of malicious files: it continues to serve others, and does not copy their texts.
#![cfg(unix)]

#[path = "../io/tests/dicom_files/mod.rs"]
mod dicom_files;
#[path = "../node/tests/support/mod.rs"]
mod node_support;
#[path = "../io/tests/shared/mod.rs"]
mod shared;
mod support;
#[path = "support/dicom.rs"]
mod support_dicom;

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dicom_files::{
    CT, DEFLATED, EXPLICIT, Elements, FRAMES, IMAGE_TYPE, INSTANCE, MR, PATIENT_ID, PATIENT_NAME,
    SENTINEL, SERIES, STUDY, image,
};
use node_support::archive::Archive;
use node_support::{Said, Sender, free_port, get};
use shared::shared_data;
use support::{bundle, scan, with_runtime};
use support_dicom::{About, slices};
use tempfile::tempdir;
use vesal_node::network::association::{
    APPLICATION_CONTEXT, AssociateRequest, PresentationContext,
};
use vesal_node::network::command::{CommandSet, field};

/// Time limit for serving others.
const OTHERS: Duration = Duration::from_secs(30);

struct Node {
    child: Child,
    dicom: SocketAddr,
    http: SocketAddr,
    log: PathBuf,
}

impl Node {
    fn start(folder: &Path, archive: u16, limits: &str) -> Self {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (dicom, http) = (at(free_port()), at(free_port()));
        let (settings, log) = (folder.join("node.toml"), folder.join("log"));
        let text = format!(
            r#"
[node]
storage = "storage"
port = {}
[http]
port = {}
[callers]
any = true
[limits]
shutdown_seconds = 1
{limits}
[[destination]]
name = "archive"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {archive}
[[service]]
ae_title = "VESAL"
bundle = {:?}
quiet_seconds = 0.3
cut_quiet_seconds = 0.5
hold_seconds = 1
destinations = ["archive"]
options = ["--threads", "1"]
"#,
            dicom.port(),
            http.port(),
            bundle(folder).to_str().unwrap()
        );
        fs::write(&settings, text).unwrap();
        let out = File::create(&log).unwrap();
        let child = with_runtime()
            .arg("serve")
            .arg("--config")
            .arg(settings)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let node = Self {
            child,
            dicom,
            http,
            log,
        };
        let end = Instant::now() + OTHERS;
        while std::net::TcpStream::connect(http).is_err() {
            assert!(Instant::now() < end, "{}", node.log());
            thread::sleep(Duration::from_millis(50));
        }
        node
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn jobs(&self) -> Vec<serde_json::Value> {
        let (_, body) = get(self.http, "/queue");
        let queue: serde_json::Value = serde_json::from_str(&body).unwrap();
        queue["jobs"].as_array().unwrap().clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// Sends data sets of a class in an association; ignoring the answers.
fn send(node: SocketAddr, caller: &str, class: &str, syntax: &str, sets: &[(String, Vec<u8>)]) {
    let mut sender = Sender::connect(node);
    let request = AssociateRequest {
        called: "VESAL".to_owned(),
        calling: caller.to_owned(),
        application: APPLICATION_CONTEXT.to_owned(),
        contexts: vec![PresentationContext {
            context: 1,
            class: class.to_owned(),
            syntaxes: vec![syntax.to_owned()],
        }],
        pdu_bytes: 0,
    };
    sender.put(&request.encode());
    if sender.hear() != Said::Accepted(vec![0]) {
        return;
    }
    for (uid, bytes) in sets {
        let command = CommandSet {
            field: field::STORE,
            message: 1,
            class: class.to_owned(),
            instance: uid.clone(),
            has_data: true,
            status: None,
        };
        sender.send_value(true, true, &command.encode());
        let mut chunks = bytes.chunks(16_000).peekable();
        while let Some(chunk) = chunks.next() {
            sender.send_value(false, chunks.peek().is_none(), chunk);
        }
        if !matches!(sender.hear(), Said::Status(_)) {
            return;
        }
    }
    sender.put(&[5, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    sender.hear();
}

/// A series that can be segmented.
fn good(node: SocketAddr, number: usize) {
    let (study, series) = (format!("1.2.826.1.{number}"), format!("1.2.826.2.{number}"));
    let about = About {
        study: &study,
        series: &series,
        ..About::default()
    };
    let sets: Vec<_> = slices(&scan([16, 16, 8]), about)
        .iter()
        .enumerate()
        .map(|(k, image)| (format!("{series}.{}", 100 + k), image.encode(EXPLICIT)))
        .collect();
    send(node, "SCANNER", MR, EXPLICIT, &sets);
}

/// An image of a series of its own.
fn alone(number: usize) -> (String, Elements) {
    let uid = format!("1.2.826.3.{number}.1");
    let image = image()
        .text(INSTANCE, b"UI", &uid)
        .text(STUDY, b"UI", &format!("1.2.826.4.{number}"))
        .text(SERIES, b"UI", &format!("1.2.826.3.{number}"));
    (uid, image)
}

/// Sends malicious data.
fn generated(node: SocketAddr) {
    // Names in attributes that messages state: images of different types.
    let kinds = |k: usize| {
        let (_, image) = alone(1);
        let uid = format!("1.2.826.3.1.{k}");
        let kind = format!("ORIGINAL\\PRIMARY\\{SENTINEL}{k}");
        let image = image
            .text(INSTANCE, b"UI", &uid)
            .text(IMAGE_TYPE, b"CS", &kind)
            .text((0x0018, 0x0050), b"DS", SENTINEL)
            .at([0.0, 0.0, (k / 2) as f64]);
        (uid, image.encode(EXPLICIT))
    };
    let sets: Vec<_> = (0..6).map(kinds).collect();
    send(node, "HOSTILE", CT, EXPLICIT, &sets);
    // More frames than there are pixels.
    let (uid, image) = alone(2);
    let image = image.text(FRAMES, b"IS", "2000000000");
    send(
        node,
        "HOSTILE",
        CT,
        EXPLICIT,
        &[(uid, image.encode(EXPLICIT))],
    );
    // An endless deflate stream.
    let (uid, image) = alone(3);
    let mut bytes = image.encode(EXPLICIT);
    let filler = [
        [0x09, 0x00, 0x01, 0x10],
        *b"OB\0\0",
        (64_u32 << 20).to_le_bytes(),
    ]
    .concat();
    let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    deflated.write_all(&bytes.split_off(0)).unwrap();
    deflated.write_all(&filler).unwrap();
    deflated.write_all(&vec![0; 64 << 20]).unwrap();
    send(
        node,
        "HOSTILE",
        CT,
        DEFLATED,
        &[(uid, deflated.finish().unwrap())],
    );
    // One patient's name in another's series.
    let of = |k: usize| {
        let (_, image) = alone(4);
        let uid = format!("1.2.826.3.4.{k}");
        let patient = format!("{SENTINEL}{k}");
        let image = image
            .text(INSTANCE, b"UI", &uid)
            .text(PATIENT_NAME, b"PN", &patient)
            .text(PATIENT_ID, b"LO", &patient)
            .at([0.0, 0.0, k as f64]);
        (uid, image.encode(EXPLICIT))
    };
    let sets: Vec<_> = (0..3).map(of).collect();
    send(node, "HOSTILE", CT, EXPLICIT, &sets);
}

/// Files that once broke something; empty where there is no such folder.
fn hostile_files() -> Vec<PathBuf> {
    let Some(folder) = shared_data("hostile") else {
        return Vec::new();
    };
    let mut files = Vec::new();
    walk(&folder, &mut files);
    files.retain(|path| path.extension().is_some_and(|end| end == "dcm"));
    files.sort();
    files
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// Sends a file unchanged.
fn send_file(node: SocketAddr, path: &Path) {
    let bytes = fs::read(path).unwrap();
    let length = u32::from_le_bytes(bytes[140..144].try_into().unwrap()) as usize;
    let (meta, data_set) = bytes[144..].split_at(length);
    let uid = |element: u16| {
        let tag = [2, 0, element.to_le_bytes()[0], 0, b'U', b'I'];
        let at = meta.windows(6).position(|here| here == tag).unwrap();
        let length = usize::from(meta[at + 6]);
        let text = std::str::from_utf8(&meta[at + 8..at + 8 + length]).unwrap();
        text.trim_end_matches('\0').to_owned()
    };
    let sets = [(uid(3), data_set.to_vec())];
    send(node, "HOSTILE", &uid(2), &uid(0x10), &sets);
}

/// Whether the archive has a result of the study of [`good`].
fn is_delivered(archive: &Archive, number: usize) -> bool {
    let study = format!("1.2.826.1.{number}");
    let holds = |data: &[u8]| {
        data.windows(study.len())
            .any(|here| here == study.as_bytes())
    };
    archive.taken().iter().any(|taken| holds(&taken.data))
}

#[test]
fn others_are_served_within_half_a_minute() {
    let folder = tempdir().unwrap();
    let archive = Archive::start(0, |_, _| Some(0));
    // One prediction at a time, so that it waits for slow ones.
    let node = Node::start(folder.path(), archive.port, "run_minutes = 0.2");
    let files = hostile_files();
    thread::scope(|scope| {
        scope.spawn(|| generated(node.dicom));
        for part in files.chunks(files.len().div_ceil(4).max(1)) {
            let address = node.dicom;
            scope.spawn(move || part.iter().for_each(|file| send_file(address, file)));
        }
        thread::sleep(Duration::from_secs(1));
        for number in 1..=3 {
            let start = Instant::now();
            good(node.dicom, number);
            while !is_delivered(&archive, number) {
                assert!(start.elapsed() < OTHERS, "series {number} is not delivered");
                thread::sleep(Duration::from_millis(50));
            }
        }
    });
    let end = Instant::now() + Duration::from_secs(300);
    let goes_on = |job: &serde_json::Value| job["state"] != "failed" && job["state"] != "done";
    while node.jobs().iter().any(goes_on) {
        assert!(Instant::now() < end, "{:?}", node.jobs());
        thread::sleep(Duration::from_millis(200));
    }
    let jobs = node.jobs();
    let failed = jobs.iter().filter(|job| job["state"] == "failed");
    let reasons: Vec<_> = failed.map(|job| job["reason"].to_string()).collect();
    assert!(reasons.len() >= 3, "{jobs:?}");
    // Neither their texts nor a UID.
    let mut told = node.log();
    for path in ["/queue", "/health", "/metrics"] {
        told += &get(node.http, path).1;
    }
    for entry in fs::read_dir(folder.path().join("storage/jobs")).unwrap() {
        let folder = entry.unwrap().path();
        for name in ["job.json", "known"] {
            told += &fs::read_to_string(folder.join(name)).unwrap_or_default();
        }
    }
    for trace in ["SENTINEL", "1.2.826", "\u{1b}"] {
        assert!(!told.contains(trace), "{trace}: {told}");
    }
}

#[test]
fn what_needs_more_memory_than_it_may_have_is_told() {
    let folder = tempdir().unwrap();
    let archive = Archive::start(0, |_, _| Some(0));
    let node = Node::start(folder.path(), archive.port, "run_ram_mib = 1");
    good(node.dicom, 1);
    let end = Instant::now() + OTHERS;
    let failed = || {
        let jobs = node.jobs();
        let job = jobs.iter().find(|job| job["state"] == "failed")?;
        Some(job["reason"].to_string())
    };
    let reason = loop {
        if let Some(reason) = failed() {
            break reason;
        }
        assert!(Instant::now() < end, "{:?}", node.jobs());
        thread::sleep(Duration::from_millis(50));
    };
    assert!(
        reason.contains("the limit is 1 MiB (`run_ram_mib`)"),
        "{reason}"
    );
}
