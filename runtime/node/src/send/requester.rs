//! C-ECHO and C-STORE as requester.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;

use vesal_io::dicom::{HeaderError, Instance};

use crate::config::{Destination, Limits};
use crate::network::association::{
    APPLICATION_CONTEXT, Answer, Proposal, Request, accepted, rejection, verdict,
};
use crate::network::command::{COMMAND_BYTES_MAX, Command, field, status};
use crate::network::wire::{Piece, Wire, WireError, data, kind, piece, piece_bytes};
use crate::stop::Stop;

/// Presentation contexts of an association: their numbers are odd and have 8 bits.
const CONTEXTS_MAX: usize = 128;

/// Why results were not taken. Messages name no UID of an instance.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No such host, or nobody listens there.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// The association failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The peer does not take this kind of object.
    #[error("it does not take objects of class {class} in transfer syntax {syntax}")]
    NotAccepted {
        /// UID of the class.
        class: String,
        /// UID of the transfer syntax.
        syntax: String,
    },
    /// The peer answered with a status that is neither success nor warning.
    #[error("it answered with status {status:04X}")]
    Status {
        /// The status.
        status: u16,
    },
    /// The peer has another object under the UID of a result, and keeps that.
    #[error("it has another object under the UID of a result (status 0111)")]
    Duplicate,
    /// A result cannot be read.
    #[error("a result cannot be read: {0}")]
    Result(HeaderError),
    /// A result cannot be read.
    #[error("a result cannot be read: {0}")]
    File(io::Error),
    /// What is sent and what was taken cannot be noted.
    #[error("it cannot be noted what is sent: {0}")]
    Note(io::Error),
}

/// Asks a destination whether it is there.
///
/// **Errors**: [`SendError`].
pub fn echo(destination: &Destination, limits: &Limits, stop: &Arc<Stop>) -> Result<(), SendError> {
    const VERIFICATION: &str = "1.2.840.10008.1.1";
    let kinds = [(VERIFICATION.to_owned(), "1.2.840.10008.1.2".to_owned())];
    let mut association = Association::open(destination, limits, stop, &kinds)?;
    let asked = association.context(&kinds[0]).and_then(|context| {
        let command = Command {
            field: field::ECHO,
            message: 1,
            class: VERIFICATION.to_owned(),
            ..Command::default()
        };
        association.send(context, true, &command.encode())?;
        association.answer(&command)
    });
    association.close(asked.is_ok());
    match asked? {
        status::SUCCESS => Ok(()),
        status => Err(SendError::Status { status }),
    }
}

/// Who is asked and told about each file that is sent, by its index.
pub trait Sends {
    /// It is about to be sent.
    ///
    /// **Errors**: it is not to be sent.
    fn begins(&mut self, index: usize, instance: &Instance) -> Result<(), SendError>;

    /// The peer has answered.
    ///
    /// **Errors**: it does not count as taken.
    fn answered(&mut self, index: usize, instance: &Instance, status: u16)
    -> Result<(), SendError>;
}

/// Sends files in one association.
///
/// A file that is refused does not keep the others from being sent.
///
/// **Errors**: [`SendError`], the first.
pub fn store(
    destination: &Destination,
    limits: &Limits,
    stop: &Arc<Stop>,
    files: &[&Path],
    sends: &mut dyn Sends,
) -> Result<(), SendError> {
    let instances: Vec<Instance> = files
        .iter()
        .map(|file| Instance::read(file).map_err(SendError::Result))
        .collect::<Result<_, _>>()?;
    let mut kinds: Vec<(String, String)> = instances.iter().map(kind_of).collect();
    kinds.sort();
    kinds.dedup();
    let mut association = Association::open(destination, limits, stop, &kinds)?;
    let mut first = Ok(());
    for (index, (file, instance)) in files.iter().zip(&instances).enumerate() {
        let sent = association.store(index, file, instance, sends);
        match sent.and_then(|status| sends.answered(index, instance, status)) {
            Ok(()) => {}
            Err(error) => {
                let goes_on = matches!(
                    error,
                    SendError::NotAccepted { .. } | SendError::Status { .. } | SendError::Duplicate
                );
                if first.is_ok() {
                    first = Err(error);
                }
                if !goes_on {
                    association.close(false);
                    return first;
                }
            }
        }
    }
    association.close(true);
    first
}

fn kind_of(instance: &Instance) -> (String, String) {
    (instance.class.clone(), instance.syntax.clone())
}

struct Association<'a> {
    wire: Wire,
    kinds: &'a [(String, String)],
    answers: Vec<Answer>,
    piece_bytes: usize,
}

impl<'a> Association<'a> {
    fn open(
        destination: &Destination,
        limits: &Limits,
        stop: &Arc<Stop>,
        kinds: &'a [(String, String)],
    ) -> Result<Self, SendError> {
        let stream = connect(destination, limits)?;
        let mut wire = Wire::new(
            stream,
            limits.negotiation,
            limits.association,
            Arc::clone(stop),
        )?;
        let request = Request {
            called: destination.ae_title.clone(),
            calling: destination.calling_ae_title.clone(),
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
        wire.write(&request.encode())?;
        let (answers, pdu_bytes) = match wire.read(false)? {
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
        })
    }

    /// The presentation context for a class in a transfer syntax.
    fn context(&self, kind: &(String, String)) -> Result<u8, SendError> {
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
            _ => Err(SendError::NotAccepted {
                class: class.clone(),
                syntax: syntax.clone(),
            }),
        }
    }

    /// Sends a file; the status of the answer.
    fn store(
        &mut self,
        index: usize,
        file: &Path,
        instance: &Instance,
        sends: &mut dyn Sends,
    ) -> Result<u16, SendError> {
        let context = self.context(&kind_of(instance))?;
        let mut file = File::open(file).map_err(SendError::File)?;
        let mut left = file
            .metadata()
            .map_err(SendError::File)?
            .len()
            .saturating_sub(instance.data_set);
        file.seek(SeekFrom::Start(instance.data_set))
            .map_err(SendError::File)?;
        let command = Command {
            field: field::STORE,
            message: (index % 0xffff) as u16 + 1,
            class: instance.class.clone(),
            instance: instance.instance.clone(),
            has_data: true,
            status: None,
        };
        sends.begins(index, instance)?;
        self.send(context, true, &command.encode())?;
        let mut buffer = vec![0; self.piece_bytes];
        while left > 0 {
            let count = (self.piece_bytes as u64).min(left) as usize;
            file.read_exact(&mut buffer[..count])
                .map_err(SendError::File)?;
            left -= count as u64;
            self.wire.write(&data(Piece {
                context,
                command: false,
                last: left == 0,
                bytes: &buffer[..count],
            }))?;
        }
        self.answer(&command)
    }

    fn send(&mut self, context: u8, command: bool, bytes: &[u8]) -> Result<(), SendError> {
        let mut pieces = bytes.chunks(self.piece_bytes).peekable();
        while let Some(bytes) = pieces.next() {
            let last = pieces.peek().is_none();
            self.wire.write(&data(Piece {
                context,
                command,
                last,
                bytes,
            }))?;
        }
        Ok(())
    }

    /// Waits for the answer to a command; its status.
    fn answer(&mut self, to: &Command) -> Result<u16, SendError> {
        const BROKEN: WireError = WireError::Malformed("an answer is not to what was sent");
        let mut set = Vec::new();
        loop {
            let mut body = match self.wire.read(false)? {
                (kind::DATA, body) => body,
                (found, _) => return Err(WireError::Unexpected { found }.into()),
            };
            while let Some(piece) = piece(&mut body)? {
                if !piece.command || set.len() + piece.bytes.len() > COMMAND_BYTES_MAX {
                    return Err(BROKEN.into());
                }
                set.extend(piece.bytes);
                if !piece.last {
                    continue;
                }
                let answer = Command::decode(&set)?;
                let fits = answer.field == to.field | field::ANSWER && answer.message == to.message;
                return match answer.status {
                    Some(status) if fits => Ok(status),
                    _ => Err(BROKEN.into()),
                };
            }
        }
    }

    /// Ends the association: as agreed, or by abort.
    fn close(mut self, well: bool) {
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

/// Number of the presentation context at an index.
fn context(index: usize) -> u8 {
    (2 * index + 1) as u8
}

fn connect(destination: &Destination, limits: &Limits) -> Result<TcpStream, SendError> {
    let addresses = (destination.host.as_str(), destination.port)
        .to_socket_addrs()
        .map_err(SendError::Connect)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, limits.negotiation) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(SendError::Connect(last))
}
