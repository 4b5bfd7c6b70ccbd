//! Nodes in this process, a scripted sender, and synthetic images and results.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod archive;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use vesal_io::dicom::Instance;
use vesal_node::network::association::{
    APPLICATION_CONTEXT, AssociateRequest, PresentationContext, accepted,
};
use vesal_node::network::command::{CommandSet, field};
use vesal_node::network::pdu::{PDataValue, encode_value};
use vesal_node::queue::{RunOutcome, digest};
use vesal_node::stop::Stop;
use vesal_node::work::PredictionRequest;
use vesal_node::{Config, Node, Predict};

use crate::dicom_files::{CT, EXPLICIT, Elements, SENTINEL, SERIES, image, with_meta};

pub const SEG: &str = "1.2.840.10008.5.1.4.1.1.66.4";

/// Settings with short times; tables of `more` are appended, and `service` keys are added to the service.
pub fn config(storage: &Path, destination: u16, service: &str, more: &str) -> Config {
    let text = format!(
        r#"
[node]
storage = "{}"
port = 0
[http]
port = 0
[[caller]]
ae_title = "SENDER"
[[destination]]
name = "archive"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {destination}
[[service]]
ae_title = "VESAL"
bundle = "bundle"
quiet_seconds = 0.3
cut_quiet_seconds = 1.0
hold_seconds = 1.0
destinations = ["archive"]
{service}
{more}
"#,
        storage.display()
    );
    Config::parse(&text, Path::new("node.toml")).unwrap()
}

/// A free port.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Makes a result of a series: an object of the class of segmentations that states the number of its images.
pub struct StandIn {
    pub pause: Duration,
}

impl Predict for StandIn {
    fn predict(&self, order: &PredictionRequest<'_>, stop: &Stop) -> RunOutcome {
        if !stop.pause(self.pause) {
            return RunOutcome::Interrupted;
        }
        let files: Vec<_> = fs::read_dir(order.input)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        let first = Instance::read(&files[0]).unwrap();
        let mut uids: Vec<String> = files
            .iter()
            .map(|file| Instance::read(file).unwrap().instance)
            .collect();
        uids.sort();
        let own = digest(uids.iter().map(|uid| uid.as_bytes()));
        let own = format!("2.25.{}", u128::from_str_radix(&own, 16).unwrap());
        let result = Elements::default()
            .text((0x0008, 0x0016), b"UI", SEG)
            .text((0x0008, 0x0018), b"UI", &own)
            .text((0x0008, 0x0060), b"CS", "SEG")
            .text((0x0008, 0x103e), b"LO", &format!("of {}", files.len()))
            .text((0x0010, 0x0010), b"PN", SENTINEL)
            .text((0x0010, 0x0020), b"LO", SENTINEL)
            .text((0x0020, 0x000d), b"UI", &first.study)
            .text(SERIES, b"UI", &format!("{own}.1"));
        let path = order.output.join(format!("{}_seg.dcm", first.series));
        fs::write(path, file(&result, SEG, &own)).unwrap();
        RunOutcome::Done
    }
}

pub fn file(elements: &Elements, class: &str, instance: &str) -> Vec<u8> {
    let mut bytes = with_meta(
        Elements::default()
            .text((0x0002, 0x0002), b"UI", class)
            .text((0x0002, 0x0003), b"UI", instance)
            .text((0x0002, 0x0010), b"UI", EXPLICIT),
    );
    bytes.extend(elements.encode(EXPLICIT));
    bytes
}

pub fn start(config: Config) -> Node {
    let pause = Duration::ZERO;
    Node::start(config, Arc::new(StandIn { pause })).unwrap()
}

/// A CT slice of a series, 1.2.S of study 1.S, called 1.2.S.K.
pub fn slice(series: usize, k: usize) -> (String, Elements) {
    let uid = format!("1.2.{series}.{k}");
    let elements = image()
        .text((0x0008, 0x0018), b"UI", &uid)
        .text((0x0020, 0x000d), b"UI", &format!("1.{series}"))
        .text(SERIES, b"UI", &format!("1.2.{series}"))
        .text((0x0010, 0x0030), b"DA", "19010203")
        .at([0.0, 0.0, k as f64]);
    (uid, elements)
}

pub struct Sender {
    pub stream: TcpStream,
    message: u16,
}

/// A PDU of a peer.
#[derive(Debug, PartialEq)]
pub enum Said {
    Accepted(Vec<u8>),
    Rejected([u8; 3]),
    Status(u16),
    Released,
    Aborted,
    Closed,
}

impl Sender {
    /// Connects without sending anything.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        // Messages are written in parts, which must not wait for each other.
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self { stream, message: 0 }
    }

    /// Connects from an address of this machine.
    pub fn connect_from(from: [u8; 4], address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self { stream, message: 0 }
    }

    /// Requests an association for this class.
    pub fn ask(&mut self, calling: &str, called: &str, class: &str) -> Said {
        let request = AssociateRequest {
            called: called.to_owned(),
            calling: calling.to_owned(),
            application: APPLICATION_CONTEXT.to_owned(),
            contexts: vec![PresentationContext {
                context: 1,
                class: class.to_owned(),
                syntaxes: vec![EXPLICIT.to_owned()],
            }],
            pdu_bytes: 0,
        };
        self.put(&request.encode());
        self.hear()
    }

    /// An association for CT images, as a known caller.
    pub fn open(address: SocketAddr) -> Self {
        let mut sender = Self::connect(address);
        assert_eq!(sender.ask("SENDER", "VESAL", CT), Said::Accepted(vec![0]));
        sender
    }

    /// Sends bytes, ignoring errors.
    pub fn put(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The command of a C-STORE.
    pub fn command(&mut self, uid: &str) {
        self.message += 1;
        let command = CommandSet {
            field: field::STORE,
            message: self.message,
            class: CT.to_owned(),
            instance: uid.to_owned(),
            has_data: true,
            status: None,
        };
        self.send_value(true, true, &command.encode());
    }

    pub fn send_value(&mut self, command: bool, last: bool, bytes: &[u8]) -> bool {
        self.put(&encode_value(PDataValue {
            context: 1,
            command,
            last,
            bytes,
        }))
    }

    pub fn store(&mut self, uid: &str, data_set: &[u8]) -> Said {
        self.command(uid);
        for (index, chunk) in data_set.chunks(1000).enumerate() {
            self.send_value(false, 1000 * (index + 1) >= data_set.len(), chunk);
        }
        self.hear()
    }

    pub fn slice(&mut self, series: usize, k: usize) -> Said {
        let (uid, elements) = slice(series, k);
        self.store(&uid, &elements.encode(EXPLICIT))
    }

    pub fn release(mut self) {
        self.put(&[5, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
        assert_eq!(self.hear(), Said::Released);
    }

    /// Waits for a PDU.
    pub fn hear(&mut self) -> Said {
        let mut head = [0; 6];
        if self.stream.read_exact(&mut head).is_err() {
            return Said::Closed;
        }
        let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
        let mut body = vec![0; length as usize];
        if self.stream.read_exact(&mut body).is_err() {
            return Said::Closed;
        }
        match head[0] {
            2 => {
                let (answers, _) = accepted(&body).unwrap();
                Said::Accepted(answers.iter().map(|answer| answer.result).collect())
            }
            3 => Said::Rejected([body[1], body[2], body[3]]),
            4 => Said::Status(CommandSet::decode(&body[6..]).unwrap().status.unwrap()),
            6 => Said::Released,
            7 => Said::Aborted,
            kind => panic!("a PDU of type {kind}"),
        }
    }
}

/// Sends a whole series in one association.
pub fn send_series(address: SocketAddr, series: usize, slices: usize) {
    let mut sender = Sender::open(address);
    for k in 0..slices {
        assert_eq!(sender.slice(series, k), Said::Status(0));
    }
    sender.release();
}

/// Waits until a condition holds.
pub fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// GETs an address of a node: status and body.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    http(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes(),
    )
}

/// Sends bytes to an HTTP server: status and body of the answer; 0 for none.
pub fn http(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or("0").parse().unwrap();
    (status, body.to_owned())
}

/// States of all jobs.
pub fn states(node: &Node) -> Vec<String> {
    let jobs = node.shared().queue.jobs(1000);
    jobs.iter().map(|job| job.state.word().to_owned()).collect()
}
