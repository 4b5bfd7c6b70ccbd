//! Queries of sources for the number of instances; without an answer, the quiet period counts.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Said, Sender, config, free_port, get, send_series, start, states, wait_for};
use vesal_node::Config;
use vesal_node::find::FIND;
use vesal_node::find::identifier::{
    INSTANCE, Identifier, MODALITY, SERIES, SERIES_INSTANCES, STUDY, STUDY_INSTANCES,
};
use vesal_node::network::association::{AssociateRequest, ContextResult, result};
use vesal_node::network::command::{CommandSet, field, status};
use vesal_node::network::error::ConnectionError;
use vesal_node::network::pdu::{PDataValue, encode_value, next_value, pdu_type};
use vesal_node::network::pdu_stream::PduStream;
use vesal_node::queue::JobView;
use vesal_node::stop::Stop;

/// Matches, and the final status; `None` sends none.
type Answered = Option<(Vec<Identifier>, u16)>;

/// Answers of a source to the keys of a query.
type Answers = dyn Fn(&[u8]) -> Answered + Send + Sync;

/// A source.
struct Source {
    port: u16,
    stop: Arc<AtomicBool>,
    /// Received queries.
    searches: Arc<AtomicUsize>,
}

impl Source {
    fn start(answers: impl Fn(&[u8]) -> Answered + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let source = Self {
            port: listener.local_addr().unwrap().port(),
            stop: Arc::default(),
            searches: Arc::default(),
        };
        let (stop, searches) = (Arc::clone(&source.stop), Arc::clone(&source.searches));
        let answers: Arc<Answers> = Arc::new(answers);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (answers, searches) = (Arc::clone(&answers), Arc::clone(&searches));
                let stream = stream.unwrap();
                thread::spawn(move || {
                    let time = Duration::from_secs(20);
                    let mut wire =
                        PduStream::new(stream, time, time, Arc::<Stop>::default()).unwrap();
                    let _ = serve(&mut wire, &*answers, &searches);
                    wire.close();
                });
            }
        });
        source
    }

    fn searches(&self) -> usize {
        self.searches.load(Ordering::SeqCst)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(
    wire: &mut PduStream,
    answers: &Answers,
    searches: &AtomicUsize,
) -> Result<(), ConnectionError> {
    let request = AssociateRequest::decode(wire.read(true)?.1)?;
    let proposed = &request.contexts[0];
    assert_eq!(
        (proposed.class.as_str(), request.calling.as_str()),
        (FIND, "VESAL")
    );
    wire.write(&request.accept(&[ContextResult {
        context: proposed.context,
        result: result::ACCEPTED,
        syntax: proposed.syntaxes[0].clone(),
    }]))?;
    let (mut set, mut keys) = (Vec::new(), Vec::new());
    loop {
        let mut search = None;
        match wire.read(true)? {
            (pdu_type::DATA, mut body) => {
                while let Some(piece) = next_value(&mut body)? {
                    let bytes = if piece.command { &mut set } else { &mut keys };
                    bytes.extend(piece.bytes);
                    if !piece.command && piece.last {
                        let command = CommandSet::decode(&std::mem::take(&mut set))?;
                        search = Some((command, std::mem::take(&mut keys)));
                    }
                }
            }
            _ => return wire.write(&[6, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        }
        let Some((command, keys)) = search else {
            continue;
        };
        assert_eq!(command.field, field::FIND);
        searches.fetch_add(1, Ordering::SeqCst);
        let Some((matches, last)) = answers(&keys) else {
            thread::sleep(Duration::from_secs(30));
            return Ok(());
        };
        for one in matches {
            let mut answer = command.answer(status::PENDING[0]);
            answer.has_data = true;
            put(wire, true, &answer.encode())?;
            put(wire, false, &one.encode())?;
        }
        put(wire, true, &command.answer(last).encode())?;
    }
}

fn put(wire: &mut PduStream, command: bool, bytes: &[u8]) -> Result<(), ConnectionError> {
    wire.write(&encode_value(PDataValue {
        context: 1,
        command,
        last: true,
        bytes,
    }))
}

/// Whether a query is at this level.
fn is_at(level: &str, keys: &[u8]) -> bool {
    let value = [b"\x52\0\x06\0\0\0", level.as_bytes()].concat();
    keys.windows(value.len()).any(|bytes| bytes == value)
}

fn series(number: &str) -> Vec<Identifier> {
    let mut one = Identifier::default();
    one.put(SERIES, "1.2.1");
    one.put(SERIES_INSTANCES, number);
    vec![one]
}

/// A node with a long quiet period and a source.
fn asking(storage: &Path, source: u16, quiet: f64, service: &str, callers: &str) -> Config {
    let more = format!(
        "[[source]]\nname = \"pacs\"\nae_title = \"PACS\"\nhost = \"127.0.0.1\"\nport = {source}\ncallers = [{callers}]\nrest_seconds = 0.5"
    );
    let mut config = config(storage, free_port(), service, &more);
    config.services[0].quiet = Duration::from_secs_f64(quiet);
    config.services[0].cut_quiet = Duration::from_secs_f64(quiet);
    config
}

/// A quiet period longer than any test.
const LONG: f64 = 600.0;

fn job(node: &vesal_node::Node) -> JobView {
    node.shared().queue.jobs(9).remove(0)
}

#[test]
fn a_series_is_complete_when_the_count_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(|keys| {
        assert!(is_at("SERIES", keys));
        let keys = Identifier::decode(keys).unwrap();
        assert_eq!(keys.text(STUDY), Some("1.1"));
        assert_eq!(keys.text(SERIES), Some("1.2.1"));
        Some((series("5"), status::SUCCESS))
    });
    let node = start(asking(folder.path(), source.port, LONG, "", "\"SENDER\""));
    // It waits while an instance is missing, even if the association broke off; the last one completes it.
    let mut sender = Sender::open(node.address());
    for k in 0..4 {
        assert_eq!(sender.slice(1, k), Said::Status(0));
    }
    drop(sender);
    wait_for("it is asked", || source.searches() > 0);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(states(&node), ["collecting"]);
    let mut sender = Sender::open(node.address());
    assert_eq!(sender.slice(1, 4), Said::Status(0));
    let start = Instant::now();
    wait_for("it is complete", || states(&node) != ["collecting"]);
    assert!(start.elapsed() < Duration::from_secs(5));
    let job = job(&node);
    assert_eq!(
        (job.instances, job.expected, job.doubt),
        (5, Some(5), false)
    );
    let (_, metrics) = get(node.http_address().unwrap(), "/metrics");
    assert!(
        metrics.contains("vesal_source_questions_total{source=\"pacs\",outcome=\"agrees\"} 1\n"),
        "{metrics}"
    );
    node.stop();
}

#[test]
fn instances_are_listed_where_their_number_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(|keys| {
        // Without the number, and then with a duplicate.
        let listed = |name: &str| {
            let mut one = Identifier::default();
            one.put(SERIES, "1.2.1");
            one.put(INSTANCE, name);
            one
        };
        Some(if is_at("IMAGE ", keys) {
            let names = ["1.2.1.0", "1.2.1.1", "1.2.1.1", "1.2.1.2"];
            (names.map(listed).to_vec(), status::SUCCESS)
        } else {
            (series(""), status::SUCCESS)
        })
    });
    let node = start(asking(folder.path(), source.port, LONG, "", ""));
    send_series(node.address(), 1, 3);
    wait_for("it is complete", || states(&node) != ["collecting"]);
    assert_eq!(job(&node).expected, Some(3));
    assert_eq!(source.searches(), 2);
    node.stop();
}

#[test]
fn a_study_is_counted_whole_or_by_its_series_of_images() {
    for whole in ["4", "9"] {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::start(move |keys| {
            if is_at("STUDY ", keys) {
                let mut one = Identifier::default();
                one.put(STUDY, "1.1");
                one.put(STUDY_INSTANCES, whole);
                return Some((vec![one], status::SUCCESS));
            }
            // A report and a segmentation are not sent here; matches of another study, or without a series, do not
            // count.
            let matches = [
                ("CT", "1.1", "1.2.1", "4"),
                ("SR", "1.1", "1.2.2", "1"),
                ("SEG", "1.1", "1.2.3", "4"),
                ("CT", "1.7", "1.2.4", "9"),
                ("CT", "1.1", "", "9"),
            ];
            let matches = matches.map(|(modality, study, series, number)| {
                let mut one = Identifier::default();
                one.put(MODALITY, modality);
                one.put(STUDY, study);
                one.put(SERIES, series);
                one.put(SERIES_INSTANCES, number);
                one
            });
            Some((matches.to_vec(), status::SUCCESS))
        });
        let unit = "unit = \"study\"";
        let node = start(asking(folder.path(), source.port, LONG, unit, ""));
        send_series(node.address(), 1, 4);
        wait_for("it is complete", || states(&node) != ["collecting"]);
        assert_eq!(job(&node).expected, Some(4));
        node.stop();
    }
}

#[test]
fn answers_that_name_no_series_are_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(|_| {
        let mut one = Identifier::default();
        one.put(SERIES_INSTANCES, "5");
        Some((vec![one], status::SUCCESS))
    });
    let node = start(asking(folder.path(), source.port, 2.0, "", ""));
    send_series(node.address(), 1, 5);
    wait_for("it is complete", || states(&node) != ["collecting"]);
    assert!(source.searches() > 0);
    assert_eq!(job(&node).expected, None);
    node.stop();
}

#[test]
fn what_is_missing_is_told_when_nothing_more_comes() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(|_| Some((series("12"), status::SUCCESS)));
    let node = start(asking(folder.path(), source.port, 3.0, "", ""));
    send_series(node.address(), 1, 5);
    wait_for("it is complete", || states(&node) != ["collecting"]);
    let job = job(&node);
    assert_eq!(
        (job.instances, job.expected, job.doubt),
        (5, Some(12), true)
    );
    node.stop();
}

#[test]
fn more_than_the_source_has_waits_for_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(|_| Some((series("2"), status::SUCCESS)));
    let node = start(asking(folder.path(), source.port, 4.0, "", ""));
    send_series(node.address(), 1, 5);
    let start = Instant::now();
    wait_for("it is complete", || states(&node) != ["collecting"]);
    assert!(start.elapsed() > Duration::from_millis(3500));
    let job = job(&node);
    assert_eq!(
        (job.instances, job.expected, job.doubt),
        (5, Some(2), false)
    );
    node.stop();
}

#[test]
fn sources_that_do_not_answer_cost_nothing_but_the_quiet_period() {
    let kinds: [fn(&[u8]) -> Answered; 5] = [
        // Refusal; unknown series; garbage; far too many matches; silence.
        |_| Some((Vec::new(), 0xa700)),
        |_| Some((Vec::new(), status::SUCCESS)),
        |_| {
            let mut one = Identifier::default();
            one.put(SERIES, "1.2.1");
            one.put(SERIES_INSTANCES, "-1");
            Some((vec![one], 0xc001))
        },
        |_| Some((vec![series("1").remove(0); 100_001], status::SUCCESS)),
        |_| None,
    ];
    for (index, answers) in kinds.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::start(answers);
        let mut config = asking(folder.path(), source.port, 2.5, "", "");
        config.limits.idle = Duration::from_secs(20);
        let node = start(config);
        send_series(node.address(), 1, 3);
        wait_for("it is complete", || states(&node) != ["collecting"]);
        let job = job(&node);
        assert_eq!((job.expected, job.doubt), (None, false), "{index}");
        assert!(source.searches() > 0, "{index}");
        node.stop();
    }
    // No connection.
    let folder = tempfile::tempdir().unwrap();
    let node = start(asking(folder.path(), free_port(), 2.5, "", ""));
    send_series(node.address(), 1, 3);
    wait_for("it is complete", || states(&node) != ["collecting"]);
    assert_eq!(node.shared().sources.failing()["pacs"].failures, 1);
    node.stop();
}

#[test]
fn a_source_is_asked_about_its_callers_alone() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(|_| Some((series("3"), status::SUCCESS)));
    let node = start(asking(folder.path(), source.port, 2.5, "", "\"OTHER\""));
    send_series(node.address(), 1, 3);
    wait_for("it is complete", || states(&node) != ["collecting"]);
    assert_eq!((job(&node).expected, source.searches()), (None, 0));
    node.stop();
}

#[test]
fn a_source_that_does_not_know_leaves_the_question_to_the_next() {
    // Unknown series, refusal, no connection.
    for last in [Some(status::SUCCESS), Some(0xa700), None] {
        let folder = tempfile::tempdir().unwrap();
        let first = last.map(|last| Source::start(move |_| Some((Vec::new(), last))));
        let port = first.as_ref().map_or_else(free_port, |first| first.port);
        let second = Source::start(|_| Some((series("3"), status::SUCCESS)));
        let mut config = asking(folder.path(), port, LONG, "", "");
        let mut further = config.sources[0].clone();
        further.name = "second".to_owned();
        further.peer.port = second.port;
        config.sources.push(further);
        let node = start(config);
        send_series(node.address(), 1, 3);
        wait_for("it is complete", || states(&node) != ["collecting"]);
        assert_eq!(job(&node).expected, Some(3));
        node.stop();
    }
}
