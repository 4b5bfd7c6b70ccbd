//! Hosts that keep idle connections open or send a byte now and then do not keep others from being served.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::dicom_files::CT;
use crate::support::{Said, Sender, config, free_port, get, http, start, wait_for};
use vesal_node::Node;

const GUEST: [u8; 4] = [127, 0, 0, 2];
const FLOOD: [u8; 4] = [127, 0, 0, 9];

fn node(storage: &Path, more: &str) -> Node {
    start(config(storage, free_port(), "", more))
}

/// Time until a listed caller at another address is served.
fn is_served(node: &Node) -> Duration {
    let start = Instant::now();
    let mut sender = Sender::connect_from(GUEST, node.address());
    assert_eq!(sender.ask("SENDER", "VESAL", CT), Said::Accepted(vec![0]));
    assert_eq!(sender.slice(1, 1), Said::Status(0));
    sender.release();
    start.elapsed()
}

#[test]
fn idle_connections_of_one_address_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), "");
    let idle: Vec<_> = (0..60)
        .map(|_| Sender::connect_from(FLOOD, node.address()))
        .collect();
    wait_for("they are there", || node.shared().slots.connections() >= 10);
    assert!(is_served(&node) < Duration::from_secs(2));
    // The crowd keeps as many connections as an address may have.
    wait_for("the others gave way", || {
        node.shared().slots.connections() <= 10
    });
    // Silent connections are closed long before the time limit for a whole request.
    let start = Instant::now();
    wait_for("they are closed", || node.shared().slots.connections() == 0);
    assert!(start.elapsed() < Duration::from_secs(9));
    drop(idle);
    node.stop();
}

#[test]
fn slow_connections_of_one_address_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(
        folder.path(),
        "[limits]\nnegotiation_seconds = 3\nfirst_byte_seconds = 2",
    );
    let ends = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // One byte a second each: the head of a request that never becomes whole.
            let mut slow: Vec<_> = (0..60)
                .map(|_| Sender::connect_from(FLOOD, node.address()))
                .collect();
            while !ends.load(Ordering::SeqCst) {
                for sender in &mut slow {
                    sender.put(&[1]);
                }
                thread::sleep(Duration::from_secs(1));
            }
        });
        wait_for("they are there", || node.shared().slots.connections() >= 10);
        for _ in 0..3 {
            assert!(is_served(&node) < Duration::from_secs(2));
            thread::sleep(Duration::from_millis(300));
        }
        // Their time limit ends although a byte arrives every second.
        let start = Instant::now();
        wait_for("they are closed", || node.shared().slots.connections() == 0);
        assert!(start.elapsed() < Duration::from_secs(8));
        ends.store(true, Ordering::SeqCst);
    });
    node.stop();
}

#[test]
fn idle_connections_of_many_addresses_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), "");
    let idle: Vec<_> = (0..60)
        .map(|last| Sender::connect_from([127, 0, 1, last], node.address()))
        .collect();
    assert!(is_served(&node) < Duration::from_secs(2));
    assert!(node.shared().slots.connections() <= 33);
    drop(idle);
    node.stop();
}

#[test]
fn an_address_has_so_many_associations_and_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), "[limits]\nconnections_per_address = 2");
    let ask = |from: [u8; 4]| {
        let mut sender = Sender::connect_from(from, node.address());
        let said = sender.ask("SENDER", "VESAL", CT);
        (sender, said)
    };
    let accepted = Said::Accepted(vec![0]);
    let (_first, said) = ask(FLOOD);
    assert_eq!(said, accepted);
    let (_second, said) = ask(FLOOD);
    assert_eq!(said, accepted);
    assert_eq!(ask(FLOOD).1, Said::Rejected([2, 3, 2]));
    assert_eq!(ask(GUEST).1, accepted);
    node.stop();
}

#[test]
fn addresses_that_no_caller_has_are_not_talked_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), free_port(), "", "");
    let vesal_node::config::Callers::Listed(callers) = &mut config.callers else {
        panic!("callers are listed");
    };
    callers[0].address = Some(GUEST.into());
    let node = start(config);
    for _ in 0..100 {
        let mut sender = Sender::connect_from(FLOOD, node.address());
        assert_eq!(sender.ask("SENDER", "VESAL", CT), Said::Closed);
    }
    assert!(is_served(&node) < Duration::from_secs(2));
    let (_, metrics) = get(node.http_address().unwrap(), "/metrics");
    assert!(
        metrics.contains("vesal_associations_total{outcome=\"address\"} 100\n"),
        "{metrics}"
    );
    node.stop();
}

fn ask_http(from: [u8; 4], address: SocketAddr) -> String {
    let mut stream = Sender::connect_from(from, address).stream;
    let _ = stream.write_all(b"GET /health HTTP/1.0\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn idle_connections_do_not_keep_status_from_being_told() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), "");
    let address = node.http_address().unwrap();
    let mut crowd = BTreeMap::new();
    for index in 0..60 {
        let mut sender = Sender::connect_from(FLOOD, address);
        if index % 2 == 0 {
            sender.put(b"GET /health");
        }
        crowd.insert(index, sender);
    }
    let start = Instant::now();
    assert!(ask_http(GUEST, address).contains(" 200 OK"));
    // The same address is served as well: its own oldest connection gives way.
    assert!(ask_http(FLOOD, address).contains(" 200 OK"));
    assert!(start.elapsed() < Duration::from_secs(2));
    drop(crowd);
    node.stop();
}

#[test]
fn status_is_told_to_who_names_this_host() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), free_port(), "", "");
    if let Some(http) = &mut config.http {
        http.host_names.push("node.example".to_owned());
    }
    let node = start(config);
    let address = node.http_address().unwrap();
    let status = |head: &str| http(address, format!("GET /health {head}\r\n\r\n").as_bytes()).0;
    let port = address.port();
    for host in [
        format!("127.0.0.1:{port}"),
        "127.0.0.1".to_owned(),
        format!("localhost:{port}"),
        "LocalHost.".to_owned(),
        format!("node.example:{port}"),
    ] {
        assert_eq!(status(&format!("HTTP/1.1\r\nHost: {host}")), 200, "{host}");
    }
    // Every browser sends it.
    assert_eq!(status("HTTP/1.0"), 200);
    for host in [
        format!("evil.example:{port}"),
        "127.0.0.1.evil.example".to_owned(),
        "192.0.2.1".to_owned(),
        "[::1]".to_owned(),
        String::new(),
    ] {
        assert_eq!(status(&format!("HTTP/1.1\r\nHost: {host}")), 421, "{host}");
    }
    let two = "HTTP/1.1\r\nHost: localhost\r\nHost: evil.example";
    assert_eq!(status(two), 400);
    node.stop();
}
