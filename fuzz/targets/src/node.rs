//! A node's side of the network: PDUs, commands, and the states of a session.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use vesal_node::network::association::{
    APPLICATION_CONTEXT, AssociateRequest, PresentationContext, accepted, rejection,
};
use vesal_node::network::command::{CommandSet, field};
use vesal_node::network::pdu::{PDataValue, encode_value, next_value};
use vesal_node::queue::RunOutcome;
use vesal_node::stop::Stop;
use vesal_node::{Config, Node, Predict, PredictionRequest};

use crate::made;
use crate::scratch::ScratchFolder;
use crate::target::Target;

/// The bodies of PDUs and commands; of the kind selected by the first byte.
pub const PDU: Target = Target {
    name: "node_pdu",
    run: |bytes| {
        let Some((kind, body)) = bytes.split_first() else {
            return;
        };
        match kind % 5 {
            0 => {
                if let Ok(request) = AssociateRequest::decode(body) {
                    // A decoded request can be encoded again, unless a text is longer than its field.
                    let _ = request.encode();
                }
            }
            1 => drop(accepted(body)),
            2 => drop(rejection(body)),
            3 => {
                if let Ok(command) = CommandSet::decode(body) {
                    assert_eq!(CommandSet::decode(&command.encode()).unwrap(), command);
                }
            }
            _ => {
                let mut rest = body;
                while let Ok(Some(found)) = next_value(&mut rest) {
                    let again = encode_value(found);
                    // After the head of the PDU.
                    let mut again = &again[6..];
                    let again = next_value(&mut again).unwrap().unwrap();
                    assert!(again.bytes.len() <= body.len());
                }
            }
        }
    },
    seeds: || {
        let [request, command, set] = parts(made::EXPLICIT);
        vec![
            [&[0][..], &request[6..]].concat(),
            [&[1][..], &request[6..]].concat(),
            vec![2, 0, 1, 1, 7],
            [&[3][..], &command].concat(),
            [&[4][..], &whole(&command, &set)[6..]].concat(),
        ]
    },
    wrapping: None,
};

/// All bytes of a caller on a connection.
pub const SESSION: Target = Target {
    name: "node_session",
    run: |bytes| {
        let mut stream = TcpStream::connect(node()).expect("the node listens");
        // Longer than the limit of an association.
        let wait = Some(Duration::from_secs(4));
        stream.set_read_timeout(wait).expect("a time to wait");
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut buffer = [0; 1024];
        // The node answers and closes.
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    let in_time = error.kind() != ErrorKind::WouldBlock;
                    assert!(in_time, "the node does not end the association");
                    break;
                }
            }
        }
    },
    seeds: || {
        let syntaxes = [made::EXPLICIT, made::IMPLICIT, made::DEFLATED, made::RLE];
        syntaxes
            .iter()
            .map(|syntax| {
                let [request, command, set] = parts(syntax);
                let release = [5, 0, 0, 0, 0, 4, 0, 0, 0, 0];
                [&request[..], &whole(&command, &set), &release].concat()
            })
            .collect()
    },
    wrapping: None,
};

/// A request, the command of a C-STORE, and its data set.
fn parts(syntax: &str) -> [Vec<u8>; 3] {
    let request = AssociateRequest {
        called: "VESAL".to_owned(),
        calling: "SENDER".to_owned(),
        application: APPLICATION_CONTEXT.to_owned(),
        contexts: vec![PresentationContext {
            context: 1,
            class: made::CT.to_owned(),
            syntaxes: vec![syntax.to_owned()],
        }],
        pdu_bytes: 0,
    };
    let command = CommandSet {
        field: field::STORE,
        message: 1,
        class: made::CT.to_owned(),
        instance: made::MADE_UP.to_owned(),
        has_data: true,
        status: None,
    };
    let image = made::image();
    // The data set after preamble and meta information.
    let set = image.file(syntax)[made::head(syntax).len()..].to_vec();
    [request.encode(), command.encode(), set]
}

/// The PDUs of a message.
fn whole(command: &[u8], set: &[u8]) -> Vec<u8> {
    let of = |command, bytes| {
        encode_value(PDataValue {
            context: 1,
            command,
            last: true,
            bytes,
        })
    };
    [of(true, command), of(false, set)].concat()
}

struct Nothing;

impl Predict for Nothing {
    fn predict(&self, _: &PredictionRequest<'_>, _: &Stop) -> RunOutcome {
        RunOutcome::Done
    }
}

/// The address of a node that lives as long as the process.
fn node() -> SocketAddr {
    static NODE: OnceLock<(Node, ScratchFolder)> = OnceLock::new();
    let (node, _) = NODE.get_or_init(|| {
        let storage = ScratchFolder::new();
        let settings = format!(
            r#"
[node]
storage = "{}"
port = 0
[http]
enabled = false
[limits]
negotiation_seconds = 2
idle_seconds = 2
association_seconds = 3
storage_mib = 64
[[caller]]
ae_title = "SENDER"
[[destination]]
name = "archive"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = 1
[[service]]
ae_title = "VESAL"
bundle = "bundle"
quiet_seconds = 3600
cut_quiet_seconds = 3600
destinations = ["archive"]
"#,
            storage.path().join("storage").display()
        );
        let config = Config::parse(&settings, Path::new("node.toml")).expect("settings");
        let node = Node::start(config, Arc::new(Nothing)).expect("a node");
        (node, storage)
    });
    node.address()
}
