//! Memory does not grow with malicious senders. A separate process, because the peak is that of the process.
#![cfg(target_os = "linux")]

#[path = "../../io/tests/dicom_files/mod.rs"]
mod dicom_files;
mod support;

use std::fs;
use std::thread;

use support::{Sender, config, free_port, start, wait_for};

/// Peak of resident memory in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}

#[test]
fn two_hundred_hostile_associations_cost_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(config(folder.path(), free_port(), "", ""));
    let attack = &|kind: usize| {
        let mut sender = Sender::open(node.address());
        match kind {
            // The longest accepted PDU, and then silence.
            0 => {
                sender.put(&[4, 0, 0, 4, 0, 0]);
                sender.put(&[0; 100_000]);
            }
            // A command without end.
            1 => {
                for _ in 0..8 {
                    sender.send_value(true, false, &[0; 4096]);
                }
                sender.hear();
            }
            // A false length.
            2 => {
                sender.put(&[4, 0, 0xff, 0xff, 0xff, 0xff]);
                sender.hear();
            }
            // A data set that breaks off after 2 MiB.
            3 => {
                sender.command("1.2.3");
                for _ in 0..32 {
                    sender.send_value(false, false, &[0; 1 << 16]);
                }
            }
            // Many tiny fragments in one PDU.
            _ => {
                let mut body = Vec::new();
                for _ in 0..10_000 {
                    body.extend([0, 0, 0, 2, 1, 1]);
                }
                let mut pdu = vec![4, 0];
                pdu.extend((body.len() as u32).to_be_bytes());
                pdu.extend(body);
                sender.put(&pdu);
            }
        }
    };
    // Five at once, each of another kind.
    let attack_all = |rounds: usize| {
        for _ in 0..rounds {
            thread::scope(|scope| {
                for kind in 0..5 {
                    scope.spawn(move || attack(kind));
                }
            });
            // The number of a caller's associations is limited.
            wait_for("they are gone", || node.shared().slots.connections() == 0);
        }
    };
    attack_all(5);
    let before = peak();
    attack_all(40);
    let grown = peak() - before;
    assert!(grown < 8 << 20, "{grown} bytes more than {before}");
    assert_eq!(
        fs::read_dir(folder.path().join("incoming"))
            .unwrap()
            .count(),
        0
    );
    node.stop();
}
