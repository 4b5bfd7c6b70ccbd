//! Associations that this side asks for.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Destination, Limits};
use crate::network::association::{
    APPLICATION_CONTEXT, Answer, Proposal, Request, accepted, rejection, verdict,
};
use crate::network::command::{COMMAND_BYTES_MAX, Command, field};
use crate::network::connection::Connection;
use crate::network::tls::{SetupError, TlsStream, client};
use crate::network::wire::{Piece, Wire, WireError, data, kind, piece, piece_bytes};
use crate::stop::Stop;

/// Presentation contexts of an association: their numbers are odd and have 8 bits.
const CONTEXTS_MAX: usize = 128;

/// Time for a peer to agree to the end of an association.
const RELEASE_TIME: Duration = Duration::from_secs(2);

/// Why a peer cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// No such host, or nobody listens there.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// Certificates or keys cannot be used.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The association failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The peer does not answer the request for an association.
    #[error("the connection was closed without an answer; {cause}")]
    Unanswered {
        /// What may be the cause.
        cause: &'static str,
    },
    /// The peer does not take this kind of object.
    #[error("it does not take objects of class {class} in transfer syntax {syntax}")]
    NotAccepted {
        /// UID of the class.
        class: String,
        /// UID of the transfer syntax.
        syntax: String,
    },
}

/// A class of objects and the transfer syntax they come in.
pub type Kind = (String, String);

/// An association that was asked for.
pub struct Association<'a> {
    wire: Wire,
    kinds: &'a [Kind],
    answers: Vec<Answer>,
    piece_bytes: usize,
    /// Whether a node that stops ends the wait for an answer at once.
    ends_with_node: bool,
}

/// A message that came: its command, and its data set if it has one.
#[derive(Debug)]
pub struct Message {
    /// The command.
    pub command: Command,
    /// The data set.
    pub data: Vec<u8>,
}

impl<'a> Association<'a> {
    /// Asks a peer for an association for these kinds of objects.
    ///
    /// **Errors**: [`PeerError`].
    pub fn open(
        peer: &Destination,
        limits: &Limits,
        stop: &Arc<Stop>,
        kinds: &'a [Kind],
    ) -> Result<Self, PeerError> {
        let connection = connect(peer, limits)?;
        let mut wire = Wire::new(
            connection,
            limits.negotiation,
            limits.association,
            Arc::clone(stop),
        )?;
        let request = Request {
            called: peer.ae_title.clone(),
            calling: peer.calling_ae_title.clone(),
            application: APPLICATION_CONTEXT.to_owned(),
            proposals: kinds
                .iter()
                .take(CONTEXTS_MAX)
                .enumerate()
                .map(|(index, (class, syntax))| Proposal {
                    context: context(index),
                    class: class.clone(),
                    syntaxes: vec![syntax.clone()],
                })
                .collect(),
            pdu_bytes: 0,
        };
        let unanswered = |error| match (error, &peer.tls) {
            (WireError::Closed, None) => PeerError::Unanswered {
                cause: "does that port take TLS alone?",
            },
            (WireError::Closed, Some(_)) => PeerError::Unanswered {
                cause: "is that a port without TLS?",
            },
            (error, _) => error.into(),
        };
        wire.write(&request.encode()).map_err(unanswered)?;
        let (answers, pdu_bytes) = match wire.read(false).map_err(unanswered)? {
            (kind::ACCEPT, body) => accepted(body)?,
            (kind::REJECT, body) => return Err(WireError::Rejected(rejection(body)).into()),
            (found, _) => {
                let error = WireError::Unexpected { found };
                wire.abort(&error);
                return Err(error.into());
            }
        };
        wire.set_idle(limits.idle);
        Ok(Self {
            wire,
            kinds,
            answers,
            piece_bytes: piece_bytes(pdu_bytes),
            ends_with_node: false,
        })
    }

    /// Has a node that stops end the wait for an answer at once.
    pub fn end_with_node(&mut self) {
        self.ends_with_node = true;
    }

    /// The presentation context for a class in a transfer syntax.
    ///
    /// **Errors**: the peer did not accept it.
    pub fn context(&self, kind: &Kind) -> Result<u8, PeerError> {
        let (class, syntax) = kind;
        let index = self.kinds.iter().position(|known| known == kind);
        let answer = index.and_then(|index| {
            self.answers
                .iter()
                .find(|answer| index < CONTEXTS_MAX && answer.context == context(index))
        });
        match answer {
            Some(answer) if answer.verdict == verdict::ACCEPTED && answer.syntax == *syntax => {
                Ok(answer.context)
            }
            _ => Err(PeerError::NotAccepted {
                class: class.clone(),
                syntax: syntax.clone(),
            }),
        }
    }

    /// Bytes of a message that go into one PDU.
    pub fn piece_bytes(&self) -> usize {
        self.piece_bytes
    }

    /// Sends a command set or a whole data set.
    ///
    /// **Errors**: [`WireError`].
    pub fn send(&mut self, context: u8, command: bool, bytes: &[u8]) -> Result<(), WireError> {
        let mut pieces = bytes.chunks(self.piece_bytes).peekable();
        while let Some(bytes) = pieces.next() {
            let last = pieces.peek().is_none();
            self.send_piece(Piece {
                context,
                command,
                last,
                bytes,
            })?;
        }
        Ok(())
    }

    /// Sends a piece of a message.
    ///
    /// **Errors**: [`WireError`].
    pub fn send_piece(&mut self, piece: Piece<'_>) -> Result<(), WireError> {
        self.wire.write(&data(piece))
    }

    /// Waits for the answer to a command in a presentation context, which has no data set; its status.
    ///
    /// **Errors**: [`WireError`].
    pub fn answer(&mut self, context: u8, to: &Command) -> Result<u16, WireError> {
        let mut status = None;
        self.answers(context, to, 0, &mut |answer| {
            status = answer.command.status;
            Ok(false)
        })?;
        status.ok_or(NO_ANSWER)
    }

    /// Waits for answers to a command in a presentation context, and gives each to `take` until this says that it was
    /// the last; data sets of them are of `data_bytes` at most. Answers need not name the instance (PS3.7 9.3.1.2), but
    /// no other one.
    ///
    /// **Errors**: [`WireError`]; what `take` gives.
    pub fn answers(
        &mut self,
        context: u8,
        to: &Command,
        data_bytes: usize,
        take: &mut dyn FnMut(Message) -> Result<bool, WireError>,
    ) -> Result<(), WireError> {
        let (mut set, mut data_set) = (Vec::new(), Vec::new());
        // Of a message whose data set has not come yet.
        let mut waits: Option<Command> = None;
        loop {
            let mut body = match self.wire.read(self.ends_with_node)? {
                (kind::DATA, body) => body,
                (found, _) => return Err(WireError::Unexpected { found }),
            };
            while let Some(piece) = piece(&mut body)? {
                let (bytes, limit) = if piece.command {
                    (&mut set, COMMAND_BYTES_MAX)
                } else {
                    (&mut data_set, data_bytes)
                };
                let fits = piece.command == waits.is_none() && piece.context == context;
                if !fits || bytes.len() + piece.bytes.len() > limit {
                    return Err(NO_ANSWER);
                }
                bytes.extend(piece.bytes);
                if !piece.last {
                    continue;
                }
                let command = match waits.take() {
                    Some(command) => command,
                    None => {
                        let answer = Command::decode(&std::mem::take(&mut set))?;
                        if answer.field != to.field | field::ANSWER
                            || answer.message != to.message
                            || answer.status.is_none()
                            || !(answer.instance.is_empty() || answer.instance == to.instance)
                        {
                            return Err(NO_ANSWER);
                        }
                        if answer.has_data {
                            waits = Some(answer);
                            continue;
                        }
                        answer
                    }
                };
                let data = std::mem::take(&mut data_set);
                if !take(Message { command, data })? {
                    return Ok(());
                }
            }
        }
    }

    /// Ends the association: as agreed, or by abort. Everything was answered before: a peer that does not agree costs no
    /// more than `RELEASE_TIME`.
    pub fn close(mut self, well: bool) {
        self.wire.set_idle(RELEASE_TIME);
        if well
            && self
                .wire
                .write(&[kind::RELEASE_REQUEST, 0, 0, 0, 0, 4, 0, 0, 0, 0])
                .is_ok()
        {
            let _ = self.wire.read(false);
            self.wire.close();
        } else {
            self.wire.abort(&WireError::Closed);
        }
    }
}

const NO_ANSWER: WireError = WireError::Malformed("an answer is not to what was sent");

/// Number of the presentation context at an index.
fn context(index: usize) -> u8 {
    (2 * index + 1) as u8
}

fn connect(peer: &Destination, limits: &Limits) -> Result<Connection, PeerError> {
    // Before the peer is bothered.
    let tls = match &peer.tls {
        Some(settings) => Some((client(settings)?, settings.server_name.clone())),
        None => None,
    };
    let addresses = (peer.host.as_str(), peer.port)
        .to_socket_addrs()
        .map_err(PeerError::Connect)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, limits.negotiation) {
            Ok(stream) => {
                return Ok(match tls {
                    None => stream.into(),
                    Some((config, name)) => TlsStream::client(config, name, stream)
                        .map_err(WireError::Tls)?
                        .into(),
                });
            }
            Err(error) => last = error,
        }
    }
    Err(PeerError::Connect(last))
}
