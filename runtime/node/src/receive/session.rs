//! One association as acceptor, from its request to its end.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::log;
use crate::metrics::Counter;
use crate::network::association::{Rejection, Request, verdict};
use crate::network::command::{COMMAND_BYTES_MAX, Command, VERIFICATION, field, status};
use crate::network::connection::Connection;
use crate::network::pool::Place;
use crate::network::wire::{Piece, Wire, WireError, data, kind, piece, piece_bytes};
use crate::node::{STORAGE, Shared};
use crate::queue::{Admitted, Key};
use crate::receive::listener::CallerSlot;
use crate::receive::negotiate::{answers, service};
use crate::receive::store::{Incoming, Refusal};

/// Serves a connection to its end.
pub fn serve(shared: &Arc<Shared>, connection: Connection, from: IpAddr, mut place: Place) {
    let limits = &shared.config.limits;
    let wire = Wire::new(
        connection,
        limits.negotiation,
        limits.association,
        Arc::clone(&shared.stop),
    );
    let Ok(mut wire) = wire else {
        return;
    };
    wire.set_first(limits.first_byte);
    match establish(shared, &mut wire, from, &mut place) {
        Ok(Some((mut session, slot))) => {
            wire.set_idle(limits.idle);
            let ended = session.run(&mut wire);
            session.end(&mut wire, &ended);
            drop(slot);
        }
        Ok(None) => wire.close(),
        Err(why) => {
            shared.metrics.count(Counter::Associations, &["failed"]);
            let line = format_args!("connection from {from}: no association: {why}");
            shared.rejected.warning(from, line);
            wire.abort(&why);
        }
    }
}

/// Answers the request; `None` where it was rejected.
fn establish(
    shared: &Arc<Shared>,
    wire: &mut Wire,
    from: IpAddr,
    place: &mut Place,
) -> Result<Option<(Session, CallerSlot)>, WireError> {
    let request = match wire.read(true)? {
        (kind::REQUEST, body) => Request::decode(body)?,
        (found, _) => return Err(WireError::Unexpected { found }),
    };
    let accepted = service(&shared.config, &request, from).and_then(|service| {
        let slot = CallerSlot::take(shared, &request.calling);
        let is_free = !shared.stop.is_requested() && slot.is_some() && place.serve();
        slot.filter(|_| is_free)
            .map(|slot| (service, slot))
            .ok_or(Rejection::Busy)
    });
    let (service, slot) = match accepted {
        Ok(accepted) => accepted,
        Err(rejection) => {
            shared
                .metrics
                .count(Counter::Associations, &[rejection.word()]);
            let line = format_args!(
                "association of {} ({from}) with {}: rejected: {}",
                request.calling,
                request.called,
                rejection.word()
            );
            shared.rejected.warning(from, line);
            wire.write(&rejection.encode())?;
            return Ok(None);
        }
    };
    let answers = answers(&request);
    wire.write(&request.accept(&answers))?;
    let classes = request
        .proposals
        .iter()
        .zip(answers)
        .filter(|(_, answer)| answer.verdict == verdict::ACCEPTED)
        .map(|(proposal, answer)| (answer.context, (proposal.class.clone(), answer.syntax)));
    let session = Session {
        shared: Arc::clone(shared),
        service,
        caller: format!("{} ({from})", request.calling),
        calling: request.calling,
        contexts: classes.collect(),
        piece_bytes: piece_bytes(request.pdu_bytes),
        message: None,
        touched: HashSet::new(),
        taken: 0,
        refused: 0,
        left: false,
    };
    Ok(Some((session, slot)))
}

struct Session {
    shared: Arc<Shared>,
    service: usize,
    /// Who sends, for logs.
    caller: String,
    /// Its AE title.
    calling: String,
    /// Class and transfer syntax of each presentation context that is accepted.
    contexts: BTreeMap<u8, (String, String)>,
    piece_bytes: usize,
    message: Option<Message>,
    touched: HashSet<Key>,
    taken: u64,
    refused: u64,
    /// Whether it no longer holds its jobs back.
    left: bool,
}

/// Whatever ends it, its jobs are left.
impl Drop for Session {
    fn drop(&mut self) {
        self.leave(false);
    }
}

/// A message of which a part is here.
enum Message {
    Command {
        context: u8,
        bytes: Vec<u8>,
    },
    Data {
        context: u8,
        command: Command,
        sink: Sink,
    },
}

/// Where a data set goes.
enum Sink {
    File(Box<Incoming>),
    /// Nowhere: so many bytes did already, and the answer is this status.
    Waste(u16, u64),
}

const BROKEN: WireError = WireError::Malformed("a piece of a message came where it cannot");

impl Session {
    /// Takes messages until the association is released.
    fn run(&mut self, wire: &mut Wire) -> Result<(), WireError> {
        loop {
            let mut out = Vec::new();
            match wire.read(self.message.is_none())? {
                (kind::DATA, mut body) => {
                    while let Some(piece) = piece(&mut body)? {
                        if let Some((context, answer)) = self.take(piece)? {
                            self.put(&mut out, context, &answer);
                        }
                    }
                }
                (kind::RELEASE_REQUEST, _) if self.message.is_none() => {
                    return wire.write(&[kind::RELEASE_REPLY, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
                }
                (found, _) => return Err(WireError::Unexpected { found }),
            }
            wire.write(&out)?;
        }
    }

    fn put(&self, out: &mut Vec<u8>, context: u8, answer: &Command) {
        let set = answer.encode();
        let mut rest = set.as_slice();
        while !rest.is_empty() {
            let (bytes, after) = rest.split_at(rest.len().min(self.piece_bytes));
            rest = after;
            out.extend(data(Piece {
                context,
                command: true,
                last: rest.is_empty(),
                bytes,
            }));
        }
    }

    /// Takes a piece; an answer where it completes a message.
    fn take(&mut self, piece: Piece<'_>) -> Result<Option<(u8, Command)>, WireError> {
        let context = piece.context;
        if !self.contexts.contains_key(&context) {
            return Err(WireError::Malformed(
                "a message came on a presentation context that is not accepted",
            ));
        }
        let message = self.message.take().unwrap_or(Message::Command {
            context,
            bytes: Vec::new(),
        });
        match message {
            Message::Command { context: of, bytes } if of == context && piece.command => {
                self.take_command(piece, bytes)
            }
            Message::Data {
                context: of,
                command,
                sink,
            } if of == context && !piece.command => self.take_data(piece, command, sink),
            _ => Err(BROKEN),
        }
    }

    fn take_command(
        &mut self,
        piece: Piece<'_>,
        mut bytes: Vec<u8>,
    ) -> Result<Option<(u8, Command)>, WireError> {
        let context = piece.context;
        if bytes.len() + piece.bytes.len() > COMMAND_BYTES_MAX {
            return Err(WireError::Malformed("a command set is too long"));
        }
        bytes.extend(piece.bytes);
        if !piece.last {
            self.message = Some(Message::Command { context, bytes });
            return Ok(None);
        }
        let command = Command::decode(&bytes)?;
        if !command.has_data {
            let code = match command.field {
                field::ECHO => status::SUCCESS,
                // There is nothing to cancel, and no answer to that.
                field::CANCEL => return Ok(None),
                field::STORE => {
                    return Err(WireError::Malformed("a C-STORE has no data set"));
                }
                other if other & field::ANSWER != 0 => return Err(BROKEN),
                _ => status::OPERATION,
            };
            return Ok(Some((context, command.answer(code))));
        }
        let sink = if command.field == field::STORE {
            match self.begin(context, &command) {
                Ok(incoming) => Sink::File(Box::new(incoming)),
                Err(refusal) => Sink::Waste(self.refuse(&refusal), 0),
            }
        } else {
            Sink::Waste(status::OPERATION, 0)
        };
        self.message = Some(Message::Data {
            context,
            command,
            sink,
        });
        Ok(None)
    }

    fn begin(&self, context: u8, command: &Command) -> Result<Incoming, Refusal> {
        let (class, syntax) = &self.contexts[&context];
        if *class != command.class || class == VERIFICATION {
            return Err(Refusal::Class);
        }
        if command.instance.is_empty() {
            return Err(Refusal::Uid);
        }
        Incoming::begin(&self.shared, class, &command.instance, syntax)
    }

    fn take_data(
        &mut self,
        piece: Piece<'_>,
        command: Command,
        mut sink: Sink,
    ) -> Result<Option<(u8, Command)>, WireError> {
        let context = piece.context;
        let shared = Arc::clone(&self.shared);
        match &mut sink {
            Sink::File(incoming) => {
                if let Err(refusal) = incoming.write(&shared, piece.bytes) {
                    sink = Sink::Waste(self.refuse(&refusal), 0);
                }
            }
            Sink::Waste(_, wasted) => {
                *wasted += piece.bytes.len() as u64;
                if *wasted > shared.config.limits.instance_bytes {
                    return Err(WireError::Malformed("a data set does not end"));
                }
            }
        }
        if !piece.last {
            self.message = Some(Message::Data {
                context,
                command,
                sink,
            });
            return Ok(None);
        }
        let code = match sink {
            Sink::Waste(code, _) => code,
            Sink::File(incoming) => {
                let by = (self.caller.as_str(), self.calling.as_str());
                match incoming.keep(&shared, self.service, by, &mut self.touched) {
                    Ok((bytes, admitted)) => {
                        shared.receiving.note(STORAGE, None);
                        self.count(bytes, admitted);
                        status::SUCCESS
                    }
                    Err(refusal) => self.refuse(&refusal),
                }
            }
        };
        debug_assert!(status::ANSWERED.contains(&code));
        Ok(Some((context, command.answer(code))))
    }

    fn count(&mut self, bytes: u64, admitted: Admitted) {
        self.taken += 1;
        let service = [self.title()];
        let metrics = &self.shared.metrics;
        metrics.count(Counter::Received, &service);
        if admitted == Admitted::New {
            metrics.add(Counter::ReceivedBytes, &service, bytes as f64);
        }
    }

    /// Counts and logs a refusal; gives its status. Of many in a row only the first is logged.
    fn refuse(&mut self, refusal: &Refusal) -> u16 {
        self.refused += 1;
        if let Refusal::Io(_) = refusal {
            let receiving = &self.shared.receiving;
            receiving.note(STORAGE, Some(refusal.to_string()));
        }
        let labels = [self.title(), refusal.word()];
        self.shared.metrics.count(Counter::Refused, &labels);
        if self.refused == 1 {
            log::warning(format_args!(
                "association of {}: an instance is refused with {:04X}: {refusal}",
                self.caller,
                refusal.status()
            ));
        }
        refusal.status()
    }

    fn title(&self) -> &str {
        &self.shared.queue.services()[self.service].ae_title
    }

    /// Leaves the jobs, once.
    fn leave(&mut self, whole: bool) {
        if !std::mem::replace(&mut self.left, true) {
            let queue = &self.shared.queue;
            queue.leave(self.service, &self.touched, &self.caller, whole);
        }
    }

    /// Leaves the jobs, and the connection.
    fn end(mut self, wire: &mut Wire, ended: &Result<(), WireError>) {
        // What was half received goes now.
        self.message = None;
        let whole = ended.is_ok() && self.refused == 0;
        self.leave(whole);
        let (caller, title) = (&self.caller, self.title());
        let counts = format!("{} instances taken, {} refused", self.taken, self.refused);
        match ended {
            Ok(()) => {
                self.shared
                    .metrics
                    .count(Counter::Associations, &["released"]);
                log::info(format_args!(
                    "association of {caller} with {title}: {counts}"
                ));
                wire.close();
            }
            Err(why) => {
                self.shared.metrics.count(Counter::Associations, &["cut"]);
                log::warning(format_args!(
                    "association of {caller} with {title} broke off: {why}; {counts}"
                ));
                match why {
                    WireError::Closed | WireError::Aborted | WireError::Io(_) => wire.close(),
                    _ => wire.abort(why),
                }
            }
        }
    }
}
