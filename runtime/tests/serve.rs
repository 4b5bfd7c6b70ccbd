//! `vesal serve` between Orthanc and Orthanc, with `vesal predict` in the middle.
#![cfg(unix)]

#[path = "../io/tests/dicom_files/mod.rs"]
mod dicom_files;
#[path = "support/orthanc.rs"]
mod orthanc;
mod support;
#[path = "support/dicom.rs"]
mod support_dicom;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dicom_files::{EXPLICIT, Elements, SENTINEL};
use orthanc::{Orthanc, Running, free_port, http, program, wait_for};
use support::{bundle, run, scan, with_runtime};
use support_dicom::{About, slices};
use tempfile::tempdir;

/// Patients' dates of birth in the images.
const BIRTH: &str = "19010203";

/// A node in a separate process.
struct Node {
    child: Child,
    settings: PathBuf,
    log: PathBuf,
    http: u16,
}

impl Node {
    fn new(folder: &Path, archive: u16, port: u16, more: &str) -> Self {
        let (settings, log, http) = (folder.join("node.toml"), folder.join("log"), free_port());
        let text = format!(
            r#"
[node]
storage = "storage"
port = {port}
workers = 2
[http]
port = {http}
[callers]
any = true
[limits]
shutdown_seconds = 2
[retry]
send_pause_seconds = 0.5
[[destination]]
name = "archive"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {archive}
[[service]]
ae_title = "VESAL"
bundle = "{}"
quiet_seconds = 0.4
cut_quiet_seconds = 4
hold_seconds = 2
destinations = ["archive"]
options = ["--threads", "1"]
{more}
"#,
            bundle(folder).display()
        );
        fs::write(&settings, text).unwrap();
        let child = Self::spawn(&settings, &log);
        let node = Self {
            child,
            settings,
            log,
            http,
        };
        node.wait();
        node
    }

    fn spawn(settings: &Path, log: &Path) -> Child {
        let log = File::options().create(true).append(true).open(log).unwrap();
        with_runtime()
            .arg("serve")
            .arg("--config")
            .arg(settings)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn wait(&self) {
        wait_for("the node answers", Duration::from_secs(20), || {
            http(self.http, "GET", "/health", b"").0 == 200
        });
    }

    /// Kills it and starts it again at once.
    fn kill_and_start(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::spawn(&self.settings, &self.log);
        self.wait();
    }

    fn jobs(&self) -> Vec<serde_json::Value> {
        let (_, body) = http(self.http, "GET", "/queue", b"");
        let queue: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        queue["jobs"].as_array().cloned().unwrap_or_default()
    }

    fn done(&self) -> usize {
        let jobs = self.jobs();
        jobs.iter().filter(|job| job["state"] == "done").count()
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Terminates it; returns its exit code.
    fn end(&mut self) -> Option<i32> {
        let process = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .arg(process)
                .status()
                .unwrap()
                .success()
        );
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < end, "the node does not end");
            thread::sleep(Duration::from_millis(20));
        }
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

/// A small series of its own study and patient.
fn series(number: usize) -> Vec<Elements> {
    let (study, uid) = (
        format!("1.2.826.77.{number}"),
        format!("1.2.826.78.{number}"),
    );
    let about = About {
        study: &study,
        series: &uid,
        ..About::default()
    };
    slices(&scan([16, 16, 8]), about)
        .into_iter()
        .map(|image| {
            image
                .text((0x0010, 0x0020), b"LO", &format!("{SENTINEL}{number}"))
                .text((0x0010, 0x0030), b"DA", BIRTH)
        })
        .collect()
}

/// Fifty series go from an archive to a node and their results into another, while the node is killed five times.
#[test]
fn fifty_series_survive_five_kills() {
    const SERIES: usize = 50;
    let Some(program) = program("Orthanc") else {
        return;
    };
    let folder = tempdir().unwrap();
    let port = free_port();
    let source = Orthanc::start(&program, &folder.path().join("source"), port);
    let archive = Orthanc::start(&program, &folder.path().join("archive"), port);
    for number in 1..=SERIES {
        for image in series(number) {
            assert_eq!(source.post("/instances", &image.file(EXPLICIT)).0, 200);
        }
    }
    let ids = source.json("/series");
    let ids: Vec<&str> = ids
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), SERIES);

    let node_folder = folder.path().join("node");
    fs::create_dir(&node_folder).unwrap();
    let mut node = Node::new(&node_folder, archive.dicom, port, "");
    let (sent, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let end = Instant::now() + Duration::from_secs(120);
            for id in &ids {
                let body = format!(r#"{{"Resources": ["{id}"], "Synchronous": true}}"#);
                while source.post("/modalities/node/store", body.as_bytes()).0 != 200 {
                    if Instant::now() > end {
                        failed.store(true, Ordering::SeqCst);
                        return;
                    }
                    thread::sleep(Duration::from_millis(50));
                }
                sent.fetch_add(1, Ordering::SeqCst);
                // About as fast as they are predicted, so that all stages run concurrently.
                thread::sleep(Duration::from_millis(150));
            }
        });
        for kill in 1..=5 {
            let so_far = kill * SERIES / 6;
            wait_for("series are sent", Duration::from_secs(120), || {
                sent.load(Ordering::SeqCst) >= so_far || failed.load(Ordering::SeqCst)
            });
            thread::sleep(Duration::from_millis(70 * kill as u64));
            node.kill_and_start();
        }
    });
    assert!(
        !failed.load(Ordering::SeqCst),
        "not everything could be sent"
    );
    wait_for("all are done", Duration::from_secs(120), || {
        node.done() == SERIES
    });
    thread::sleep(Duration::from_millis(500));
    assert_eq!(archive.instances(), SERIES as u64);
    let statistics = archive.json("/statistics");
    assert_eq!(statistics["CountStudies"], SERIES);
    assert_eq!(statistics["CountSeries"], SERIES);
    // Each is of another study, and a segmentation.
    let mut studies = BTreeSet::new();
    for series in archive.json("/series?expand").as_array().unwrap() {
        assert_eq!(series["MainDicomTags"]["Modality"], "SEG");
        studies.insert(series["ParentStudy"].to_string());
    }
    assert_eq!(studies.len(), SERIES);

    // No patient is named outside of DICOM files.
    for path in ["/health", "/queue", "/metrics"] {
        nameless(&http(node.http, "GET", path, b"").1, path);
    }
    assert_eq!(node.end(), Some(0));
    nameless(&node.log(), "the log");
    let mut files = 0;
    visit(&node_folder.join("storage"), &mut |path| {
        assert!(path.extension().is_none_or(|end| end != "dcm"), "{path:?}");
        nameless(
            &String::from_utf8_lossy(&fs::read(path).unwrap()),
            &path.display().to_string(),
        );
        files += 1;
    });
    assert!(files > SERIES);
}

fn nameless(text: &str, of: &str) {
    for trace in ["SENTINEL", BIRTH, "1.2.826.7"] {
        assert!(!text.contains(trace), "{of} holds {trace}: {text}");
    }
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

/// dcmtk's tools send images and receive the results.
#[test]
fn tools_of_dcmtk_are_understood() {
    let programs = ["echoscu", "storescu", "storescp"].map(program);
    let [Some(echoscu), Some(storescu), Some(storescp)] = programs else {
        return;
    };
    let folder = tempdir().unwrap();
    let (port, archive_port) = (free_port(), free_port());
    let (images, results) = (folder.path().join("images"), folder.path().join("results"));
    support_dicom::write(&images, &series(1));
    fs::create_dir(&results).unwrap();
    let _archive = Running::start(
        Command::new(storescp)
            .args(["-aet", "ARCHIVE", "-pm", "+xa", "-od"])
            .arg(&results)
            .arg(archive_port.to_string()),
    );
    let more =
        "formats = [\"seg\", \"labelmap\", \"rtstruct\", \"report\"]\n[log]\nformat = \"json\"";
    let mut node = Node::new(folder.path(), archive_port, port, more);
    let scu = |program: &Path, called: &str, more: &[&str]| {
        let mut command = Command::new(program);
        command
            .args([
                "-aec",
                called,
                "-aet",
                "SCANNER",
                "127.0.0.1",
                &port.to_string(),
            ])
            .args(more)
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(scu(&echoscu, "VESAL", &[]));
    assert!(!scu(&echoscu, "OTHER", &[]));
    let images = images.to_str().unwrap();
    assert!(scu(&storescu, "VESAL", &["+sd", images]));
    let check = run([
        "serve",
        "--check",
        "--config",
        node.settings.to_str().unwrap(),
    ]);
    assert_eq!(check.code, Some(0), "{}", check.stderr);
    assert!(check.stdout.contains("destination `archive`: is there"));
    assert!(check.stderr.contains("in use by another node"));
    wait_for("it is done", Duration::from_secs(60), || node.done() == 1);
    assert_eq!(fs::read_dir(&results).unwrap().count(), 4);
    // A slice is missing: the job fails, and the reason contains no patient data.
    let incomplete = folder.path().join("incomplete");
    let mut slices = series(2);
    slices.remove(3);
    support_dicom::write(&incomplete, &slices);
    assert!(scu(
        &storescu,
        "VESAL",
        &["+sd", incomplete.to_str().unwrap()]
    ));
    let failed = || {
        let jobs = node.jobs();
        let failed = jobs.iter().find(|job| job["state"] == "failed");
        failed.map(|job| job["reason"].to_string())
    };
    wait_for("it fails", Duration::from_secs(60), || failed().is_some());
    let reason = failed().unwrap();
    assert!(reason.contains("slices missing: 1"), "{reason}");
    nameless(&reason, "the reason");
    assert_eq!(fs::read_dir(&results).unwrap().count(), 4);
    assert_eq!(node.end(), Some(0));
    // Every line of the log is one object.
    for line in node.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(line["message"].is_string() && line["time"].is_string());
    }
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("node.toml");
    let refused = |text: &str, code: i32, message: &str| {
        fs::write(&path, text).unwrap();
        let ran = run(["serve", "--config", path.to_str().unwrap()]);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    };
    let example = run(["serve", "--example"]);
    assert_eq!(example.code, Some(0));
    refused("[node]\nstorage = 1\n", 2, "settings");
    refused(
        &example.stdout.replace("4242", "0"),
        2,
        "destination[0].port",
    );
    // There is no such bundle.
    refused(&example.stdout, 4, "service VESAL cannot use its bundle");
    let two = support::two_channel_bundle(folder.path());
    let text = example
        .stdout
        .replace("\"bundle\"", &format!("{:?}", two.to_str().unwrap()));
    refused(&text, 2, "its bundle has 2 channels: t1, t2");
    // Errors that would fail every job are found at the start.
    let study = text.replace("# unit = \"series\"", "unit = \"study\"");
    for (from, to, code, message) in [
        (
            r#"# options = ["--device", "cpu"]"#,
            r#"options = ["--devcie", "cpu"]"#,
            2,
            "unexpected argument '--devcie'",
        ),
        (
            r#"# options = ["--device", "cpu"]"#,
            r#"options = ["--output", "x"]"#,
            2,
            "`service[0].options` has `--output`, which the node sets itself",
        ),
        (
            r#"# dicom_rules = "rules.json""#,
            r#"dicom_rules = "rules.json""#,
            3,
            "rules.json",
        ),
        ("# series = []", r#"series = ["foo"]"#, 2, "CHANNEL=SERIES"),
        (
            "# series = []",
            r#"series = ["t3=4"]"#,
            2,
            "no channel `t3`",
        ),
    ] {
        assert!(study.contains(from));
        refused(&study.replace(from, to), code, message);
    }
    assert_eq!(run(["serve"]).code, Some(2));
    // An invalid level of the log.
    fs::write(&path, &example.stdout).unwrap();
    let ran = with_runtime()
        .args(["serve", "--config", path.to_str().unwrap()])
        .env("VESAL_LOG", "loud")
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("`loud` is not a level of the log"));
    // Absent certificates.
    let tls = "[tls]\ncertificate = \"absent.crt\"\nkey = \"absent.key\"\n[http]";
    let text = example
        .stdout
        .replace(
            "\"bundle\"",
            &format!("{:?}", support::bundle(folder.path())),
        )
        .replace("[http]", tls);
    refused(&text, 2, "caused by: cannot read");
}
