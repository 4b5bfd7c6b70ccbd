//! An archive with configurable answers.

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use vesal_node::network::association::{AssociateRequest, ContextResult, result};
use vesal_node::network::command::{CommandSet, field};
use vesal_node::network::error::ConnectionError;
use vesal_node::network::pdu::{PDataValue, encode_value, next_value, pdu_type};
use vesal_node::network::pdu_stream::PduStream;
use vesal_node::stop::Stop;

/// An accepted instance.
#[derive(Debug, Clone)]
pub struct Taken {
    pub uid: String,
    pub data: Vec<u8>,
}

/// Accepts results, with a configurable status.
pub struct Archive {
    pub port: u16,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    /// In order of arrival, each UID once.
    taken: Arc<Mutex<Vec<Taken>>>,
}

/// Further behavior of an archive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Manner {
    Proper,
    /// Does not answer the release of an association.
    NeverReleases,
    /// Answers in another presentation context.
    OtherContext,
    /// Answers about another instance.
    OtherInstance,
}

/// Answer to the instance with this number, given whether its UID exists; `None` accepts it and breaks off.
type Answers = dyn Fn(usize, bool) -> Option<u16> + Send + Sync;

impl Archive {
    pub fn start(
        port: u16,
        answer: impl Fn(usize, bool) -> Option<u16> + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(port, Manner::Proper, answer)
    }

    pub fn start_with(
        port: u16,
        manner: Manner,
        answer: impl Fn(usize, bool) -> Option<u16> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let archive = Self {
            port: listener.local_addr().unwrap().port(),
            stop: Arc::default(),
            count: Arc::default(),
            taken: Arc::default(),
        };
        let (stop, count) = (Arc::clone(&archive.stop), Arc::clone(&archive.count));
        let taken = Arc::clone(&archive.taken);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let time = Duration::from_secs(20);
                let mut wire =
                    PduStream::new(stream.unwrap(), time, time, Arc::<Stop>::default()).unwrap();
                let _ = serve(&mut wire, manner, &taken, &count, &answer);
                wire.close();
            }
        });
        archive
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    /// Number of received C-STORE requests.
    pub fn asked(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(
    wire: &mut PduStream,
    manner: Manner,
    taken: &Mutex<Vec<Taken>>,
    count: &AtomicUsize,
    answer: &Answers,
) -> Result<(), ConnectionError> {
    let request = AssociateRequest::decode(wire.read(true)?.1)?;
    let answers: Vec<ContextResult> = request
        .contexts
        .iter()
        .map(|proposed| ContextResult {
            context: proposed.context,
            result: result::ACCEPTED,
            syntax: proposed.syntaxes[0].clone(),
        })
        .collect();
    wire.write(&request.accept(&answers))?;
    let (mut set, mut bytes) = (Vec::new(), Vec::new());
    loop {
        let mut whole = None;
        match wire.read(true)? {
            (pdu_type::DATA, mut body) => {
                while let Some(piece) = next_value(&mut body)? {
                    if piece.command {
                        set.extend(piece.bytes);
                        continue;
                    }
                    bytes.extend(piece.bytes);
                    if piece.last {
                        let command = CommandSet::decode(&std::mem::take(&mut set))?;
                        whole = Some((piece.context, command, std::mem::take(&mut bytes)));
                    }
                }
            }
            _ if manner == Manner::NeverReleases => continue,
            _ => return wire.write(&[6, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        }
        let Some((context, command, data_set)) = whole else {
            continue;
        };
        assert_eq!(command.field, field::STORE);
        let uid = command.instance.clone();
        let has = taken.lock().unwrap().iter().any(|taken| taken.uid == uid);
        let status = answer(count.fetch_add(1, Ordering::SeqCst), has);
        if matches!(status, None | Some(0)) && !has {
            let data = data_set;
            taken.lock().unwrap().push(Taken { uid, data });
        }
        let Some(status) = status else {
            return Ok(());
        };
        let mut said = command.answer(status);
        if manner == Manner::OtherInstance {
            said.instance.push_str(".1");
        }
        let bytes = said.encode();
        let context = context + 76 * u8::from(manner == Manner::OtherContext);
        let (command, last) = (true, true);
        wire.write(&encode_value(PDataValue {
            context,
            command,
            last,
            bytes: &bytes,
        }))?;
    }
}
