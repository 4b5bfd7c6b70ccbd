//! Senders that break rules, stop in the middle, or are not permitted; a full disk.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::dicom_files::{self, CT, EXPLICIT, PIXELS, Value};
use crate::support::{
    self, Said, Sender, config, free_port, get, http, slice, start, states, wait_for,
};
use vesal_node::Node;

/// A node whose destination accepts nothing.
fn node(storage: &Path, more: &str) -> Node {
    start(config(storage, free_port(), "", more))
}

fn incoming(storage: &Path) -> usize {
    fs::read_dir(storage.join("incoming")).unwrap().count()
}

#[test]
fn only_known_callers_reach_known_services() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), "");
    let ask = |calling: &str, called: &str, class: &str| {
        Sender::connect(node.address()).ask(calling, called, class)
    };
    assert_eq!(ask("SENDER", "VESAL", CT), Said::Accepted(vec![0]));
    assert_eq!(ask("STRANGER", "VESAL", CT), Said::Rejected([1, 1, 3]));
    assert_eq!(ask("STRANGER", "OTHER", CT), Said::Rejected([1, 1, 3]));
    assert_eq!(ask("SENDER", "OTHER", CT), Said::Rejected([1, 1, 7]));
    // A secondary capture; a search.
    for class in ["1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.2.2.1"] {
        assert_eq!(ask("SENDER", "VESAL", class), Said::Accepted(vec![3]));
    }
    // What was not negotiated is not accepted.
    let mut sender = Sender::connect(node.address());
    sender.ask("SENDER", "VESAL", "1.2.840.10008.5.1.4.1.1.7");
    assert_eq!(sender.slice(1, 1), Said::Aborted);
    node.stop();
}

#[test]
fn there_are_only_so_many_associations() {
    let folder = tempfile::tempdir().unwrap();
    let limits = "[limits]\nassociations = 3\nassociations_per_caller = 2";
    let node = node(folder.path(), limits);
    let _first = Sender::open(node.address());
    let _second = Sender::open(node.address());
    let busy = Said::Rejected([2, 3, 2]);
    let mut third = Sender::connect(node.address());
    assert_eq!(third.ask("SENDER", "VESAL", CT), busy);
    wait_for("the third is gone", || {
        node.shared().slots.connections() == 2
    });
    let silent = Sender::connect(node.address());
    wait_for("it counts", || node.shared().slots.connections() == 3);
    let mut fourth = Sender::connect(node.address());
    assert_eq!(fourth.ask("SENDER", "VESAL", CT), busy);
    drop(silent);
    // Far above, the connection is closed without an answer.
    let many: Vec<_> = (0..40).map(|_| Sender::connect(node.address())).collect();
    thread::sleep(Duration::from_millis(100));
    assert!(node.shared().slots.connections() <= 3 + 8);
    drop(many);
    wait_for("they are gone", || node.shared().slots.connections() == 2);
    drop((_first, _second));
    wait_for("there is room again", || {
        Sender::connect(node.address()).ask("SENDER", "VESAL", CT) == Said::Accepted(vec![0])
    });
    node.stop();
}

#[test]
fn there_are_only_so_many_jobs_on_their_way() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), "[limits]\njobs = 2");
    let mut sender = Sender::open(node.address());
    for (series, k, said) in [
        (1, 0, 0),
        (2, 0, 0),
        (3, 0, 0xa700),
        (1, 1, 0),
        (3, 1, 0xa700),
    ] {
        assert_eq!(sender.slice(series, k), Said::Status(said));
    }
    let (_, metrics) = get(node.http_address().unwrap(), "/metrics");
    let refused = "vesal_instances_refused_total{service=\"VESAL\",reason=\"jobs\"} 2";
    assert!(metrics.contains(refused), "{metrics}");
    node.stop();
}

#[test]
fn one_caller_does_not_replace_what_another_has_sent() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), "[callers]\nany = true");
    let mut sender = Sender::open(node.address());
    assert_eq!(sender.slice(1, 0), Said::Status(0));
    let mut other = Sender::connect(node.address());
    assert_eq!(other.ask("OTHER", "VESAL", CT), Said::Accepted(vec![0]));
    let (uid, elements) = slice(1, 0);
    assert_eq!(other.slice(1, 0), Said::Status(0));
    let changed = elements.text(dicom_files::PATIENT_ID, b"LO", "ANOTHER");
    let said = other.store(&uid, &changed.encode(EXPLICIT));
    assert_eq!(said, Said::Status(0x0111));
    // The caller that sent it may.
    let said = sender.store(&uid, &changed.encode(EXPLICIT));
    assert_eq!(said, Said::Status(0));
    node.stop();
}

#[test]
fn what_breaks_off_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), "");
    let (uid, elements) = slice(1, 1);
    let bytes = elements.encode(EXPLICIT);
    for abort in [true, false] {
        let mut sender = Sender::open(node.address());
        sender.command(&uid);
        sender.send_value(false, false, &bytes[..100]);
        wait_for("it is being received", || incoming(folder.path()) == 1);
        if abort {
            sender.put(&[7, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
        } else {
            drop(sender);
        }
        wait_for("it is gone", || incoming(folder.path()) == 0);
    }
    // Between instances, those received before are kept, and the job waits longer.
    let mut sender = Sender::open(node.address());
    assert_eq!(sender.slice(1, 1), Said::Status(0));
    let start = Instant::now();
    drop(sender);
    wait_for("it is complete", || states(&node) != ["collecting"]);
    assert!(start.elapsed() > Duration::from_millis(900));
    node.stop();
}

#[test]
fn slow_senders_are_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let limits = "[limits]\nnegotiation_seconds = 0.5\nidle_seconds = 0.5\nassociation_seconds = 2";
    let node = node(folder.path(), limits);
    // Byte by byte, in the request and then in a PDU: each byte is in time, the whole is not.
    for asks in [true, false] {
        let mut sender = Sender::connect(node.address());
        if !asks {
            assert_eq!(sender.ask("SENDER", "VESAL", CT), Said::Accepted(vec![0]));
        }
        let start = Instant::now();
        for byte in [1, 0, 0, 0, 0, 200].into_iter().chain([0; 100]) {
            if !sender.put(&[byte]) {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        assert!(start.elapsed() < Duration::from_secs(4));
    }
    // Whole PDUs of a data set, without end.
    let mut sender = Sender::open(node.address());
    sender.command("1.2.3");
    let start = Instant::now();
    while sender.send_value(false, false, &[0; 10]) && start.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(100));
    }
    assert!(start.elapsed() < Duration::from_secs(4));
    wait_for("nothing is left", || {
        incoming(folder.path()) == 0 && node.shared().slots.connections() == 0
    });
    node.stop();
}

#[test]
fn lies_and_garbage_end_the_association() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), "");
    // Before an association.
    for bytes in [
        &[1, 0, 0xff, 0xff, 0xff, 0xff][..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[1, 0, 0, 0, 0, 3, 1, 2, 3],
        &[4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 3],
        &[0xff; 3000],
    ] {
        let mut sender = Sender::connect(node.address());
        sender.put(bytes);
        assert_eq!(sender.hear(), Said::Aborted, "{bytes:?}");
    }
    // Within one: lengths, contexts, commands.
    for bytes in [
        &[4, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0][..],
        &[4, 0, 0, 0, 0, 6, 0, 0, 0, 99, 1, 3],
        &[4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 3, 3],
        &[4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 2],
        &[4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 3],
        &[9, 0, 0, 0, 0, 1, 0],
        &[1, 0, 0, 0, 0, 1, 0],
    ] {
        let mut sender = Sender::open(node.address());
        sender.put(bytes);
        assert_eq!(sender.hear(), Said::Aborted, "{bytes:?}");
    }
    // A command that does not end.
    let mut sender = Sender::open(node.address());
    while sender.send_value(true, false, &[0; 4096]) {}
    // Release in the middle of a message.
    let mut sender = Sender::open(node.address());
    sender.command("1.2.3");
    sender.put(&[5, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    assert_eq!(sender.hear(), Said::Aborted);
    // The node still works.
    let mut sender = Sender::open(node.address());
    assert_eq!(sender.slice(1, 1), Said::Status(0));
    sender.release();
    assert_eq!(incoming(folder.path()), 0);
    node.stop();
}

#[test]
fn instances_that_are_not_what_they_say_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), "[limits]\ninstance_mib = 1");
    let mut sender = Sender::open(node.address());
    let (uid, elements) = slice(1, 1);
    let bytes = elements.encode(EXPLICIT);
    // Another instance, another class, no DICOM at all, pixels that are not there, no series.
    assert_eq!(sender.store("1.2.3.4", &bytes), Said::Status(0xa900));
    let mr = elements
        .clone()
        .text((0x0008, 0x0016), b"UI", "1.2.840.10008.5.1.4.1.1.4");
    assert_eq!(
        sender.store(&uid, &mr.encode(EXPLICIT)),
        Said::Status(0xa900)
    );
    assert_eq!(sender.store(&uid, b"no DICOM at all"), Said::Status(0xc000));
    assert_eq!(
        sender.store(&uid, &bytes[..bytes.len() - 2]),
        Said::Status(0xc000)
    );
    let none = elements.clone().without(dicom_files::SERIES);
    assert_eq!(
        sender.store(&uid, &none.encode(EXPLICIT)),
        Said::Status(0xc000)
    );
    let none = elements.clone().without(PIXELS);
    assert_eq!(
        sender.store(&uid, &none.encode(EXPLICIT)),
        Said::Status(0xc000)
    );
    // A name where a UID should be.
    let name = elements.clone().text((0x0020, 0x000d), b"UI", "DOE^JOHN");
    assert_eq!(
        sender.store(&uid, &name.encode(EXPLICIT)),
        Said::Status(0xc000)
    );
    // Too large.
    let large = elements
        .clone()
        .value(PIXELS, b"OW", Value::Numbers(vec![0; 1 << 20]));
    assert_eq!(
        sender.store(&uid, &large.encode(EXPLICIT)),
        Said::Status(0xa700)
    );
    assert!(states(&node).is_empty());
    assert_eq!(incoming(folder.path()), 0);
    // The association continues.
    assert_eq!(sender.slice(1, 1), Said::Status(0));
    sender.release();
    node.stop();
}

#[test]
fn a_full_disk_refuses_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let filler = folder.path().join("filler");
    fs::write(&filler, vec![0; 1 << 20]).unwrap();
    let node = node(folder.path(), "[limits]\nstorage_mib = 1");
    let http = node.http_address().unwrap();
    let mut sender = Sender::open(node.address());
    assert_eq!(sender.slice(1, 1), Said::Status(0xa700));
    assert!(states(&node).is_empty());
    let (status, body) = get(http, "/health");
    assert_eq!(status, 503);
    assert!(body.contains("\"space\""), "{body}");
    fs::remove_file(filler).unwrap();
    wait_for("there is room again", || {
        sender.slice(1, 1) == Said::Status(0)
    });
    assert_eq!(get(http, "/health").0, 200);
    sender.release();
    node.stop();
}

/// A separate file system, where this user may mount one.
#[cfg(target_os = "linux")]
struct SmallDisk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("skipped: no file system can be mounted here");
        None
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg(self.0.path())
            .status();
    }
}

/// The watermark is disabled, so that the disk reports that it is full.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_without_a_byte_left_loses_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let storage = disk.0.path().join("storage");
    let node = node(&storage, "[limits]\ndisk_share = 1.0");
    let mut sender = Sender::open(node.address());
    assert_eq!(sender.slice(1, 0), Said::Status(0));
    let large = |k: usize| {
        let (uid, elements) = slice(1, k);
        let pixels = Value::Numbers(vec![0; 400 << 10]);
        (uid, elements.value(PIXELS, b"OW", pixels).encode(EXPLICIT))
    };
    let mut taken = 1;
    for k in 1..8 {
        let (uid, bytes) = large(k);
        match sender.store(&uid, &bytes) {
            Said::Status(0) => taken += 1,
            Said::Status(0xa700) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((2..8).contains(&taken), "{taken}");
    assert_eq!(incoming(&storage), 0);
    let arrived = || node.shared().queue.jobs(9)[0].arrived;
    assert_eq!(arrived(), taken);
    sender.release();
    node.stop();
}

#[test]
fn http_answers_three_addresses_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), "");
    let address = node.http_address().unwrap();
    support::send_series(node.address(), 1, 3);
    let (status, queue) = get(address, "/queue?x=1");
    assert_eq!(status, 200);
    assert!(queue.contains("\"service\": \"VESAL\""), "{queue}");
    let (status, metrics) = get(address, "/metrics");
    assert_eq!(status, 200);
    assert!(
        metrics.contains("\nvesal_instances_received_total{service=\"VESAL\"} 3\n"),
        "{metrics}"
    );
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let family = name.split('{').next().unwrap();
        assert!(
            metrics.contains(&format!("# TYPE {family} "))
                && metrics.contains(&format!("# HELP {family} ")),
            "{line}"
        );
    }
    assert_eq!(get(address, "/").0, 404);
    assert_eq!(get(address, "/../../etc/passwd").0, 404);
    assert_eq!(http(address, b"POST /queue HTTP/1.1\r\n\r\n").0, 405);
    assert_eq!(http(address, b"HEAD /health HTTP/1.1\r\n\r\n").1, "");
    assert_eq!(http(address, b"\x16\x03\x01\r\n\r\n").0, 400);
    assert_eq!(http(address, &[b'x'; 10_000]).0, 400);
    // Header spellings that parsers interpret differently.
    for head in [
        "Host : evil.example",
        "Host: localhost\r\n evil.example",
        "Host: [127.0.0.1",
        "Host",
    ] {
        let request = format!("GET /health HTTP/1.1\r\n{head}\r\n\r\n");
        assert_eq!(http(address, request.as_bytes()).0, 400, "{head}");
    }
    // A silent connection occupies a place for a while.
    let silent: Vec<_> = (0..20).map(|_| Sender::connect(address)).collect();
    thread::sleep(Duration::from_millis(100));
    drop(silent);
    wait_for("it answers again", || get(address, "/health").0 == 200);
    node.stop();
}
