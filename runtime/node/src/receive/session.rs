//! An association as acceptor, from its request to its end.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::failures::STORAGE;
use crate::log;
use crate::metrics::Counter;
use crate::network::association::{AssociateRequest, Rejection, result};
use crate::network::command::{COMMAND_BYTES_MAX, CommandSet, VERIFICATION, field, status};
use crate::network::connection::Connection;
use crate::network::error::ConnectionError;
use crate::network::pdu::{PDataValue, encode_value, next_value, pdu_type, value_bytes};
use crate::network::pdu_stream::PduStream;
use crate::network::pool::ConnectionPlace;
use crate::node_state::NodeState;
use crate::queue::{Admission, JobKey};
use crate::receive::negotiate::{answers, service};
use crate::receive::slots::CallerSlot;
use crate::receive::store::{Incoming, StoreRefusal};

/// Serves a connection to its end.
pub fn serve(
    shared: &Arc<NodeState>,
    connection: Connection,
    from: IpAddr,
    mut place: ConnectionPlace,
) {
    let limits = &shared.config.limits;
    let stream = PduStream::new(
        connection,
        limits.negotiation,
        limits.association,
        Arc::clone(&shared.stop),
    );
    let Ok(mut stream) = stream else {
        return;
    };
    stream.set_first(limits.first_byte);
    match establish(shared, &mut stream, from, &mut place) {
        Ok(Some((mut session, slot))) => {
            stream.set_idle(limits.idle);
            let ended = session.run(&mut stream);
            session.end(&mut stream, &ended);
            drop(slot);
        }
        Ok(None) => stream.close(),
        Err(why) => {
            shared.metrics.count(Counter::Associations, &["failed"]);
            let line = format_args!("connection from {from}: no association: {why}");
            shared.rejected.warning(from, line);
            stream.abort(&why);
        }
    }
}

/// Accepts or rejects the association request; `None` where it was rejected.
fn establish(
    shared: &Arc<NodeState>,
    stream: &mut PduStream,
    from: IpAddr,
    place: &mut ConnectionPlace,
) -> Result<Option<(Session, CallerSlot)>, ConnectionError> {
    let request = match stream.read(true)? {
        (pdu_type::REQUEST, body) => AssociateRequest::decode(body)?,
        (found, _) => return Err(ConnectionError::Unexpected { found }),
    };
    let accepted = service(&shared.config, &request, from).and_then(|service| {
        let slot = CallerSlot::take(&shared.slots, &request.calling);
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
            stream.write(&rejection.encode())?;
            return Ok(None);
        }
    };
    let answers = answers(&request);
    stream.write(&request.accept(&answers))?;
    let classes = request
        .contexts
        .iter()
        .zip(answers)
        .filter(|(_, answer)| answer.result == result::ACCEPTED)
        .map(|(proposed, answer)| (answer.context, (proposed.class.clone(), answer.syntax)));
    let session = Session {
        shared: Arc::clone(shared),
        service,
        caller: format!("{} ({from})", request.calling),
        calling: request.calling,
        contexts: classes.collect(),
        value_bytes: value_bytes(request.pdu_bytes),
        message: None,
        touched: HashSet::new(),
        taken: 0,
        refused: 0,
        left: false,
    };
    Ok(Some((session, slot)))
}

struct Session {
    shared: Arc<NodeState>,
    service: usize,
    /// AE title and address, for logs.
    caller: String,
    calling: String,
    /// SOP class and transfer syntax of each accepted presentation context.
    contexts: BTreeMap<u8, (String, String)>,
    value_bytes: usize,
    message: Option<PartialMessage>,
    touched: HashSet<JobKey>,
    taken: u64,
    refused: u64,
    /// Whether its jobs are released.
    left: bool,
}

/// However it ends, its jobs are released.
impl Drop for Session {
    fn drop(&mut self) {
        self.leave(false);
    }
}

/// A message that is partly received.
enum PartialMessage {
    Command {
        context: u8,
        bytes: Vec<u8>,
    },
    Data {
        context: u8,
        command: CommandSet,
        sink: Sink,
    },
}

/// The destination of a data set.
enum Sink {
    File(Box<Incoming>),
    /// Discarded: the status of the answer, and the bytes so far.
    Waste(u16, u64),
}

const BROKEN: ConnectionError =
    ConnectionError::Malformed("a piece of a message came where it cannot");

impl Session {
    /// Serves messages until the association is released.
    fn run(&mut self, stream: &mut PduStream) -> Result<(), ConnectionError> {
        loop {
            let mut out = Vec::new();
            match stream.read(self.message.is_none())? {
                (pdu_type::DATA, mut body) => {
                    while let Some(value) = next_value(&mut body)? {
                        if let Some((context, answer)) = self.take(value)? {
                            self.put(&mut out, context, &answer);
                        }
                    }
                }
                (pdu_type::RELEASE_REQUEST, _) if self.message.is_none() => {
                    return stream.write(&[pdu_type::RELEASE_REPLY, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
                }
                (found, _) => return Err(ConnectionError::Unexpected { found }),
            }
            stream.write(&out)?;
        }
    }

    fn put(&self, out: &mut Vec<u8>, context: u8, answer: &CommandSet) {
        let set = answer.encode();
        let mut rest = set.as_slice();
        while !rest.is_empty() {
            let (bytes, after) = rest.split_at(rest.len().min(self.value_bytes));
            rest = after;
            out.extend(encode_value(PDataValue {
                context,
                command: true,
                last: rest.is_empty(),
                bytes,
            }));
        }
    }

    /// Takes a presentation data value; returns the answer where it completes a message.
    fn take(&mut self, value: PDataValue<'_>) -> Result<Option<(u8, CommandSet)>, ConnectionError> {
        let context = value.context;
        if !self.contexts.contains_key(&context) {
            return Err(ConnectionError::Malformed(
                "a message came on a presentation context that is not accepted",
            ));
        }
        let message = self.message.take().unwrap_or(PartialMessage::Command {
            context,
            bytes: Vec::new(),
        });
        match message {
            PartialMessage::Command { context: of, bytes } if of == context && value.command => {
                self.take_command(value, bytes)
            }
            PartialMessage::Data {
                context: of,
                command,
                sink,
            } if of == context && !value.command => self.take_data(value, command, sink),
            _ => Err(BROKEN),
        }
    }

    fn take_command(
        &mut self,
        value: PDataValue<'_>,
        mut bytes: Vec<u8>,
    ) -> Result<Option<(u8, CommandSet)>, ConnectionError> {
        let context = value.context;
        if bytes.len() + value.bytes.len() > COMMAND_BYTES_MAX {
            return Err(ConnectionError::Malformed("a command set is too long"));
        }
        bytes.extend(value.bytes);
        if !value.last {
            self.message = Some(PartialMessage::Command { context, bytes });
            return Ok(None);
        }
        let command = CommandSet::decode(&bytes)?;
        if !command.has_data {
            let code = match command.field {
                field::ECHO => status::SUCCESS,
                // There is nothing to cancel, and C-CANCEL has no response.
                field::CANCEL => return Ok(None),
                field::STORE => {
                    return Err(ConnectionError::Malformed("a C-STORE has no data set"));
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
        self.message = Some(PartialMessage::Data {
            context,
            command,
            sink,
        });
        Ok(None)
    }

    fn begin(&self, context: u8, command: &CommandSet) -> Result<Incoming, StoreRefusal> {
        let (class, syntax) = &self.contexts[&context];
        if *class != command.class || class == VERIFICATION {
            return Err(StoreRefusal::Class);
        }
        if command.instance.is_empty() {
            return Err(StoreRefusal::Uid);
        }
        Incoming::begin(&self.shared, class, &command.instance, syntax)
    }

    fn take_data(
        &mut self,
        value: PDataValue<'_>,
        command: CommandSet,
        mut sink: Sink,
    ) -> Result<Option<(u8, CommandSet)>, ConnectionError> {
        let context = value.context;
        let shared = Arc::clone(&self.shared);
        match &mut sink {
            Sink::File(incoming) => {
                if let Err(refusal) = incoming.write(&shared, value.bytes) {
                    sink = Sink::Waste(self.refuse(&refusal), 0);
                }
            }
            Sink::Waste(_, wasted) => {
                *wasted += value.bytes.len() as u64;
                if *wasted > shared.config.limits.instance_bytes {
                    return Err(ConnectionError::Malformed("a data set does not end"));
                }
            }
        }
        if !value.last {
            self.message = Some(PartialMessage::Data {
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

    fn count(&mut self, bytes: u64, admitted: Admission) {
        self.taken += 1;
        let service = [self.title()];
        let metrics = &self.shared.metrics;
        metrics.count(Counter::Received, &service);
        if admitted == Admission::New {
            metrics.add(Counter::ReceivedBytes, &service, bytes as f64);
        }
    }

    /// Counts a refusal and logs the first of the association; returns its status.
    fn refuse(&mut self, refusal: &StoreRefusal) -> u16 {
        self.refused += 1;
        if let StoreRefusal::Io(_) = refusal {
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

    fn leave(&mut self, whole: bool) {
        if !std::mem::replace(&mut self.left, true) {
            let queue = &self.shared.queue;
            queue.leave(self.service, &self.touched, &self.caller, whole);
        }
    }

    /// Releases the jobs, and closes the connection.
    fn end(mut self, stream: &mut PduStream, ended: &Result<(), ConnectionError>) {
        // Removes a partly received instance.
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
                stream.close();
            }
            Err(why) => {
                self.shared.metrics.count(Counter::Associations, &["cut"]);
                log::warning(format_args!(
                    "association of {caller} with {title} broke off: {why}; {counts}"
                ));
                match why {
                    ConnectionError::Closed | ConnectionError::Aborted | ConnectionError::Io(_) => {
                        stream.close()
                    }
                    _ => stream.abort(why),
                }
            }
        }
    }
}
