//! Conversations with changed bytes. A separate process, because it counts every panic.

#[path = "../../io/tests/dicom_files/mod.rs"]
mod dicom_files;
mod support;

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};

use dicom_files::{CT, DEFLATED, EXPLICIT, IMPLICIT};
use support::{Said, Sender, config, free_port, slice, start, wait_for};
use vesal_node::network::association::{
    APPLICATION_CONTEXT, AssociateRequest, PresentationContext,
};
use vesal_node::network::command::{CommandSet, field};
use vesal_node::network::pdu::{PDataValue, encode_value};

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// All bytes of a sender of one instance.
fn conversation(syntax: &str) -> Vec<u8> {
    let request = AssociateRequest {
        called: "VESAL".to_owned(),
        calling: "SENDER".to_owned(),
        application: APPLICATION_CONTEXT.to_owned(),
        contexts: vec![PresentationContext {
            context: 1,
            class: CT.to_owned(),
            syntaxes: vec![syntax.to_owned()],
        }],
        pdu_bytes: 0,
    };
    let (uid, elements) = slice(1, 1);
    let command = CommandSet {
        field: field::STORE,
        message: 1,
        class: CT.to_owned(),
        instance: uid,
        has_data: true,
        status: None,
    };
    let mut all = request.encode();
    for (command, bytes) in [(true, command.encode()), (false, elements.encode(syntax))] {
        all.extend(encode_value(PDataValue {
            context: 1,
            command,
            last: true,
            bytes: &bytes,
        }));
    }
    all.extend([5, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    all
}

#[test]
fn changed_bytes_make_no_panic_and_leave_nothing() {
    panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Ordering::SeqCst);
    }));
    let folder = tempfile::tempdir().unwrap();
    let node = start(config(folder.path(), free_port(), "", ""));
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for round in 0..400 {
        let mut bytes = conversation([EXPLICIT, IMPLICIT, DEFLATED][round % 3]);
        for _ in 0..1 + random(4) {
            let at = random(bytes.len());
            bytes[at] = [0, 1, 0x7f, 0xff, random(256) as u8][random(5)];
        }
        if round % 4 == 0 {
            bytes.truncate(random(bytes.len()));
        }
        let mut sender = Sender::connect(node.address());
        sender.put(&bytes);
    }
    wait_for("they are gone", || node.shared().slots.connections() == 0);
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
    let incoming = folder.path().join("incoming");
    assert_eq!(std::fs::read_dir(incoming).unwrap().count(), 0);
    let mut sender = Sender::open(node.address());
    assert_eq!(sender.slice(2, 1), Said::Status(0));
    sender.release();
    node.stop();
    let _ = panic::take_hook();
}
