//! Associations as requester.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{NodeLimits, Peer};
use crate::network::association::{
    APPLICATION_CONTEXT, AssociateRequest, ContextResult, PresentationContext, accepted, rejection,
    result,
};
use crate::network::command::{COMMAND_BYTES_MAX, CommandSet, field};
use crate::network::connection::Connection;
use crate::network::error::ConnectionError;
use crate::network::pdu::{PDataValue, encode_value, next_value, pdu_type, value_bytes};
use crate::network::pdu_stream::PduStream;
use crate::network::tls::{SetupError, TlsStream, client};
use crate::stop::Stop;

/// Presentation contexts of an association: their numbers are odd and have 8 bits.
const CONTEXTS_MAX: usize = 128;

/// Time limit for the answer to a release request.
const RELEASE_TIME: Duration = Duration::from_secs(2);

/// Why there is no association with a peer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The host is unknown, or does not accept connections.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// Certificates or keys cannot be used.
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The peer does not answer the association request.
    #[error("the connection was closed without an answer; {cause}")]
    Unanswered {
        /// A likely cause.
        cause: &'static str,
    },
    /// The peer did not accept the presentation context.
    #[error("it does not accept objects of class {class} in transfer syntax {syntax}")]
    NotAccepted {
        class: String,
        /// UID of the transfer syntax.
        syntax: String,
    },
}

/// UIDs of a SOP class and of a transfer syntax.
pub type ClassAndSyntax = (String, String);

pub struct Association<'a> {
    stream: PduStream,
    kinds: &'a [ClassAndSyntax],
    answers: Vec<ContextResult>,
    value_bytes: usize,
    /// Whether a stop of the node ends the wait for an answer at once.
    ends_with_node: bool,
}

/// A response: its command set, and its data set if it has one.
#[derive(Debug)]
pub struct ResponseMessage {
    pub command: CommandSet,
    pub data: Vec<u8>,
}

impl<'a> Association<'a> {
    /// Requests an association with these presentation contexts.
    ///
    /// **Errors**: [`PeerError`].
    pub fn open(
        peer: &Peer,
        limits: &NodeLimits,
        stop: &Arc<Stop>,
        kinds: &'a [ClassAndSyntax],
    ) -> Result<Self, PeerError> {
        let connection = connect(peer, limits)?;
        let mut stream = PduStream::new(
            connection,
            limits.negotiation,
            limits.association,
            Arc::clone(stop),
        )?;
        let request = AssociateRequest {
            called: peer.ae_title.clone(),
            calling: peer.calling_ae_title.clone(),
            application: APPLICATION_CONTEXT.to_owned(),
            contexts: kinds
                .iter()
                .take(CONTEXTS_MAX)
                .enumerate()
                .map(|(index, (class, syntax))| PresentationContext {
                    context: context(index),
                    class: class.clone(),
                    syntaxes: vec![syntax.clone()],
                })
                .collect(),
            pdu_bytes: 0,
        };
        let unanswered = |error| match (error, &peer.tls) {
            (ConnectionError::Closed, None) => PeerError::Unanswered {
                cause: "does this port require TLS?",
            },
            (ConnectionError::Closed, Some(_)) => PeerError::Unanswered {
                cause: "is this a port without TLS?",
            },
            (error, _) => error.into(),
        };
        stream.write(&request.encode()).map_err(unanswered)?;
        let (answers, pdu_bytes) = match stream.read(false).map_err(unanswered)? {
            (pdu_type::ACCEPT, body) => accepted(body)?,
            (pdu_type::REJECT, body) => {
                return Err(ConnectionError::Rejected(rejection(body)).into());
            }
            (found, _) => {
                let error = ConnectionError::Unexpected { found };
                stream.abort(&error);
                return Err(error.into());
            }
        };
        stream.set_idle(limits.idle);
        Ok(Self {
            stream,
            kinds,
            answers,
            value_bytes: value_bytes(pdu_bytes),
            ends_with_node: false,
        })
    }

    /// Lets a stop of the node end the wait for an answer at once.
    pub fn end_with_node(&mut self) {
        self.ends_with_node = true;
    }

    /// Number of the presentation context of a SOP class and transfer syntax.
    ///
    /// **Errors**: the peer did not accept it.
    pub fn context(&self, kind: &ClassAndSyntax) -> Result<u8, PeerError> {
        let (class, syntax) = kind;
        let index = self.kinds.iter().position(|known| known == kind);
        let answer = index.and_then(|index| {
            self.answers
                .iter()
                .find(|answer| index < CONTEXTS_MAX && answer.context == context(index))
        });
        match answer {
            Some(answer) if answer.result == result::ACCEPTED && answer.syntax == *syntax => {
                Ok(answer.context)
            }
            _ => Err(PeerError::NotAccepted {
                class: class.clone(),
                syntax: syntax.clone(),
            }),
        }
    }

    /// Bytes of a message in one PDU.
    pub fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    /// Sends a command set or a whole data set.
    ///
    /// **Errors**: [`ConnectionError`].
    pub fn send(
        &mut self,
        context: u8,
        command: bool,
        bytes: &[u8],
    ) -> Result<(), ConnectionError> {
        let mut values = bytes.chunks(self.value_bytes).peekable();
        while let Some(bytes) = values.next() {
            let last = values.peek().is_none();
            self.send_value(PDataValue {
                context,
                command,
                last,
                bytes,
            })?;
        }
        Ok(())
    }

    /// Sends a fragment of a message.
    ///
    /// **Errors**: [`ConnectionError`].
    pub fn send_value(&mut self, value: PDataValue<'_>) -> Result<(), ConnectionError> {
        self.stream.write(&encode_value(value))
    }

    /// Waits for the response to a command, without a data set; returns its status.
    ///
    /// **Errors**: [`ConnectionError`].
    pub fn answer(&mut self, context: u8, to: &CommandSet) -> Result<u16, ConnectionError> {
        let mut status = None;
        self.answers(context, to, 0, &mut |answer| {
            status = answer.command.status;
            Ok(false)
        })?;
        status.ok_or(NO_ANSWER)
    }

    /// Waits for responses to a command, and passes each to `take` until it returns `false` for
    /// the last; their data sets have at most `data_bytes`. Responses need not name the instance (PS3.7 9.3.1.2), but
    /// must not name another.
    ///
    /// **Errors**: [`ConnectionError`]; what `take` gives.
    pub fn answers(
        &mut self,
        context: u8,
        to: &CommandSet,
        data_bytes: usize,
        take: &mut dyn FnMut(ResponseMessage) -> Result<bool, ConnectionError>,
    ) -> Result<(), ConnectionError> {
        let (mut set, mut data_set) = (Vec::new(), Vec::new());
        // The command of a message whose data set has not come yet.
        let mut waits: Option<CommandSet> = None;
        loop {
            let mut body = match self.stream.read(self.ends_with_node)? {
                (pdu_type::DATA, body) => body,
                (found, _) => return Err(ConnectionError::Unexpected { found }),
            };
            while let Some(value) = next_value(&mut body)? {
                let (bytes, limit) = if value.command {
                    (&mut set, COMMAND_BYTES_MAX)
                } else {
                    (&mut data_set, data_bytes)
                };
                let fits = value.command == waits.is_none() && value.context == context;
                if !fits || bytes.len() + value.bytes.len() > limit {
                    return Err(NO_ANSWER);
                }
                bytes.extend(value.bytes);
                if !value.last {
                    continue;
                }
                let command = match waits.take() {
                    Some(command) => command,
                    None => {
                        let answer = CommandSet::decode(&std::mem::take(&mut set))?;
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
                if !take(ResponseMessage { command, data })? {
                    return Ok(());
                }
            }
        }
    }

    /// Ends the association, by release or by abort. All requests were answered before: a peer that does not answer the
    /// release costs at most `RELEASE_TIME`.
    pub fn close(mut self, well: bool) {
        self.stream.set_idle(RELEASE_TIME);
        if well
            && self
                .stream
                .write(&[pdu_type::RELEASE_REQUEST, 0, 0, 0, 0, 4, 0, 0, 0, 0])
                .is_ok()
        {
            let _ = self.stream.read(false);
            self.stream.close();
        } else {
            self.stream.abort(&ConnectionError::Closed);
        }
    }
}

const NO_ANSWER: ConnectionError = ConnectionError::Malformed("an answer is not to what was sent");

/// Number of the presentation context at an index.
fn context(index: usize) -> u8 {
    (2 * index + 1) as u8
}

fn connect(peer: &Peer, limits: &NodeLimits) -> Result<Connection, PeerError> {
    // Errors of the settings come before a connection.
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
                        .map_err(ConnectionError::Tls)?
                        .into(),
                });
            }
            Err(error) => last = error,
        }
    }
    Err(PeerError::Connect(last))
}
