//! From series to results at their destination: a node of this program takes them there.

#[path = "../../io/tests/dicom_files/mod.rs"]
mod dicom_files;
mod support;

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use support::{Sender, StandIn, config, free_port, get, send_series, start, states, wait_for};
use vesal_io::dicom::IMAGE_CLASSES;
use vesal_node::Node;
use vesal_node::network::association::{Answer, Request, verdict};
use vesal_node::network::command::{Command, field};
use vesal_node::network::wire::{Piece, Wire, data, kind, piece};
use vesal_node::stop::Stop;

/// Takes results, with a status that can be set.
struct Archive {
    port: u16,
    stop: Arc<AtomicBool>,
    /// UIDs, in the order in which they came.
    taken: Arc<Mutex<Vec<String>>>,
}

impl Archive {
    fn start(port: u16, answer: impl Fn(usize) -> Option<u16> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let taken = Arc::<Mutex<Vec<String>>>::default();
        let archive = Self {
            port: listener.local_addr().unwrap().port(),
            stop: Arc::clone(&stop),
            taken: Arc::clone(&taken),
        };
        thread::spawn(move || {
            let (answer, count) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let time = Duration::from_secs(20);
                let mut wire =
                    Wire::new(stream.unwrap(), time, time, Arc::<Stop>::default()).unwrap();
                let _ = serve(&mut wire, &taken, || {
                    answer(count.fetch_add(1, Ordering::SeqCst))
                });
                wire.close();
            }
        });
        archive
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Serves an association; `None` for an answer drops it in the middle.
fn serve(
    wire: &mut Wire,
    taken: &Mutex<Vec<String>>,
    answer: impl Fn() -> Option<u16>,
) -> Result<(), vesal_node::network::wire::WireError> {
    let request = Request::decode(wire.read(true)?.1)?;
    let answers: Vec<Answer> = request
        .proposals
        .iter()
        .map(|proposal| Answer {
            context: proposal.context,
            verdict: verdict::ACCEPTED,
            syntax: proposal.syntaxes[0].clone(),
        })
        .collect();
    wire.write(&request.accept(&answers))?;
    let mut set = Vec::new();
    loop {
        let mut reply = None;
        match wire.read(true)? {
            (kind::DATA, mut body) => {
                while let Some(piece) = piece(&mut body)? {
                    if piece.command {
                        set.extend(piece.bytes);
                    } else if piece.last {
                        reply = Some((piece.context, Command::decode(&std::mem::take(&mut set))?));
                    }
                }
            }
            _ => return wire.write(&[6, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        }
        if let Some((context, command)) = reply {
            assert_eq!(command.field, field::STORE);
            let Some(status) = answer() else {
                return Ok(());
            };
            if status == 0 {
                taken.lock().unwrap().push(command.instance.clone());
            }
            let bytes = command.answer(status).encode();
            let (command, last) = (true, true);
            wire.write(&data(Piece {
                context,
                command,
                last,
                bytes: &bytes,
            }))?;
        }
    }
}

fn done(node: &Node, jobs: usize) -> bool {
    states(node) == vec!["done"; jobs]
}

const QUICK: &str =
    "[retry]\nsend_pause_seconds = 0.1\nsend_attempts = 4\nundelivered_pause_hours = 0.0001";

#[test]
fn series_become_results_at_their_destination() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(0, |_| Some(0));
    let node = start(config(folder.path(), archive.port, "", ""));
    for series in 1..=3 {
        send_series(node.address(), series, 4);
    }
    wait_for("all are done", || done(&node, 3));
    assert_eq!(archive.taken().len(), 3);
    // Again, and with one more.
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
    let archive = Archive::start(0, |_| Some(0));
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
    // It comes back, and first refuses, then breaks off, then takes.
    let answers = [Some(0xa700), None, Some(0x0110)];
    let archive = Archive::start(port, move |count| *answers.get(count).unwrap_or(&Some(0)));
    wait_for("it is done", || done(&node, 1));
    assert_eq!(archive.taken().len(), 1);
    assert_eq!(get(node.http_address().unwrap(), "/health").0, 200);
    node.stop();
}

#[test]
fn a_node_that_stops_goes_on_when_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::start(0, |_| Some(0));
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
    let archive = Archive::start(0, |_| Some(0));
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
