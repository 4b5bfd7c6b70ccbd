//! PDUs on a connection, each within a time and a size.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::network::connection::Connection;
use crate::network::tls::TlsFault;
use crate::stop::Stop;

/// Bytes of a PDU's variable part that this side asks for and sends.
pub const PDU_BYTES: u32 = 1 << 16;

/// Bytes that are let pass: senders exist that count the head or round up.
const PDU_BYTES_MAX: u32 = 1 << 18;

/// How the record of a TLS handshake begins: its type, and the first byte of any version.
const TLS_HANDSHAKE: [u8; 2] = [22, 3];

/// How often a wait looks whether it is to end.
const SLICE: Duration = Duration::from_millis(100);

/// Types of PDUs (PS3.8 9.3).
pub mod kind {
    /// A-ASSOCIATE-RQ.
    pub const REQUEST: u8 = 1;
    /// A-ASSOCIATE-AC.
    pub const ACCEPT: u8 = 2;
    /// A-ASSOCIATE-RJ.
    pub const REJECT: u8 = 3;
    /// P-DATA-TF.
    pub const DATA: u8 = 4;
    /// A-RELEASE-RQ.
    pub const RELEASE_REQUEST: u8 = 5;
    /// A-RELEASE-RP.
    pub const RELEASE_REPLY: u8 = 6;
    /// A-ABORT.
    pub const ABORT: u8 = 7;
}

/// Why a connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The peer is gone.
    #[error("the connection was closed")]
    Closed,
    /// The peer was too slow.
    #[error("nothing whole came within the time that is allowed")]
    TimedOut,
    /// This side stops.
    #[error("the node stops")]
    Stopped,
    /// The peer aborted.
    #[error("the peer aborted the association")]
    Aborted,
    /// A PDU that is longer than any should be.
    #[error("a PDU states {length} bytes, expected at most {limit}")]
    TooLong {
        /// Stated bytes.
        length: u32,
        /// Bytes that are let pass.
        limit: u32,
    },
    /// A PDU or message breaks a rule.
    #[error("{0}")]
    Malformed(&'static str),
    /// A PDU that has no place here.
    #[error("a PDU of type {found} came where it cannot")]
    Unexpected {
        /// Its type.
        found: u8,
    },
    /// The peer refuses.
    #[error("the association was rejected: {0}")]
    Rejected(&'static str),
    /// TLS where there is none.
    #[error("a TLS handshake came to a port that takes none")]
    UnexpectedTls,
    /// TLS does not come about, or breaks.
    #[error("TLS: {0}")]
    Tls(TlsFault),
    /// The system reports an error.
    #[error("the connection failed: {0}")]
    Io(io::ErrorKind),
}

impl WireError {
    fn io(reason: &io::Error) -> Self {
        let within = reason.get_ref();
        if let Some(fault) = within.and_then(|within| within.downcast_ref::<TlsFault>()) {
            return Self::Tls(fault.clone());
        }
        match reason.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Closed,
            kind => Self::Io(kind),
        }
    }
}

/// A connection.
pub struct Wire {
    connection: Connection,
    body: Vec<u8>,
    /// Time for a PDU.
    idle: Duration,
    /// When the first byte has to be there.
    first: Instant,
    /// When all ends.
    end: Instant,
    stop: Arc<Stop>,
}

impl Wire {
    /// Takes a connection over.
    ///
    /// **Errors**: the system cannot set its times.
    pub fn new(
        connection: impl Into<Connection>,
        idle: Duration,
        total: Duration,
        stop: Arc<Stop>,
    ) -> Result<Self, WireError> {
        let connection = connection.into();
        connection
            .set_slice(SLICE)
            .map_err(|reason| WireError::io(&reason))?;
        let end = Instant::now() + total;
        Ok(Self {
            connection,
            body: Vec::new(),
            idle,
            first: end,
            end,
            stop,
        })
    }

    /// Sets the time for the first byte.
    pub fn set_first(&mut self, first: Duration) {
        self.first = Instant::now() + first;
    }

    /// Sets the time for a PDU.
    pub fn set_idle(&mut self, idle: Duration) {
        self.idle = idle;
    }

    /// Reads a PDU: its type and variable part. Between messages (`idle`), a node that stops ends the wait at once.
    ///
    /// **Errors**: any of [`WireError`]; [`WireError::Aborted`] for an A-ABORT.
    pub fn read(&mut self, idle: bool) -> Result<(u8, &[u8]), WireError> {
        let end = self.end.min(Instant::now() + self.idle);
        let mut head = [0; 6];
        self.fill(Part::Head(&mut head), end, idle)?;
        let [kind, version, l0, l1, l2, l3] = head;
        if [kind, version] == TLS_HANDSHAKE {
            return Err(WireError::UnexpectedTls);
        }
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if length > PDU_BYTES_MAX {
            let limit = PDU_BYTES_MAX;
            return Err(WireError::TooLong { length, limit });
        }
        self.fill(Part::Body(length as usize), end, false)?;
        if kind == kind::ABORT {
            return Err(WireError::Aborted);
        }
        Ok((kind, &self.body))
    }

    fn fill(&mut self, into: Part<'_>, end: Instant, idle: bool) -> Result<(), WireError> {
        let buffer = match into {
            Part::Head(head) => head.as_mut_slice(),
            Part::Body(length) => {
                self.body.resize(length, 0);
                &mut self.body
            }
        };
        let mut filled = 0;
        while filled < buffer.len() {
            match self.connection.read(&mut buffer[filled..]) {
                Ok(0) => return Err(WireError::Closed),
                Ok(count) => filled += count,
                Err(reason) if is_slice(&reason) => {}
                Err(reason) => return Err(WireError::io(&reason)),
            }
            let end = if self.connection.has_heard() {
                end
            } else {
                end.min(self.first)
            };
            check(&self.stop, end, idle && filled == 0)?;
        }
        Ok(())
    }

    /// Sends bytes.
    ///
    /// **Errors**: the peer is gone or takes nothing for too long.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), WireError> {
        let end = self.end.min(Instant::now() + self.idle);
        while !bytes.is_empty() {
            match self.connection.write(bytes) {
                Ok(0) => return Err(WireError::Closed),
                Ok(count) => bytes = &bytes[count..],
                Err(reason) if is_slice(&reason) => {}
                Err(reason) => return Err(WireError::io(&reason)),
            }
            if !bytes.is_empty() {
                check(&self.stop, end, false)?;
            }
        }
        loop {
            match self.connection.flush() {
                Ok(()) => return Ok(()),
                Err(reason) if is_slice(&reason) => check(&self.stop, end, false)?,
                Err(reason) => return Err(WireError::io(&reason)),
            }
        }
    }

    /// Ends the association, saying why as far as DICOM has words for it, and the connection.
    pub fn abort(&mut self, why: &WireError) {
        let reason = match why {
            WireError::Unexpected { .. } => 2,
            WireError::TooLong { .. } | WireError::Malformed(_) => 6,
            _ => 0,
        };
        let source = if reason == 0 { 0 } else { 2 };
        // A peer that takes nothing must not cost time.
        self.idle = SLICE;
        self.end = Instant::now() + SLICE;
        let _ = self.write(&[kind::ABORT, 0, 0, 0, 0, 4, 0, 0, source, reason]);
        self.close();
    }

    /// Ends the connection in a way that lets what was sent arrive.
    pub fn close(&mut self) {
        self.connection.end();
        // Closing with unread bytes would reset the connection, and the peer might lose our last words.
        let end = Instant::now() + Duration::from_millis(500);
        while Instant::now() < end && self.connection.waste() {}
        self.connection.close();
    }
}

enum Part<'a> {
    Head(&'a mut [u8; 6]),
    Body(usize),
}

/// Whether a read or write ended because its time was over.
pub(super) fn is_slice(reason: &io::Error) -> bool {
    matches!(
        reason.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

fn check(stop: &Stop, end: Instant, idle: bool) -> Result<(), WireError> {
    if stop.is_over() || idle && stop.is_requested() {
        Err(WireError::Stopped)
    } else if Instant::now() >= end {
        Err(WireError::TimedOut)
    } else {
        Ok(())
    }
}

/// A piece of a message within a P-DATA-TF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Presentation context.
    pub context: u8,
    /// Whether of a command rather than of a data set.
    pub command: bool,
    /// Whether the last one.
    pub last: bool,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Takes the next piece off the variable part of a P-DATA-TF; `None` at its end.
///
/// **Errors**: a length that leads beyond the PDU.
///
/// **Source**: PS3.8 9.3.5.1, E.2.
pub fn piece<'a>(body: &mut &'a [u8]) -> Result<Option<Piece<'a>>, WireError> {
    const BROKEN: WireError = WireError::Malformed("a piece of a message reaches beyond its PDU");
    if body.is_empty() {
        return Ok(None);
    }
    let (length, rest) = body.split_first_chunk::<4>().ok_or(BROKEN)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length < 2 || length > rest.len() {
        return Err(BROKEN);
    }
    let (piece, rest) = rest.split_at(length);
    *body = rest;
    Ok(Some(Piece {
        context: piece[0],
        command: piece[1] & 1 != 0,
        last: piece[1] & 2 != 0,
        bytes: &piece[2..],
    }))
}

/// A P-DATA-TF of one piece.
pub fn data(piece: Piece<'_>) -> Vec<u8> {
    let length = piece.bytes.len() as u32 + 2;
    let mut pdu = Vec::with_capacity(piece.bytes.len() + 12);
    pdu.extend([kind::DATA, 0]);
    pdu.extend((length + 4).to_be_bytes());
    pdu.extend(length.to_be_bytes());
    let control = u8::from(piece.command) | u8::from(piece.last) << 1;
    pdu.extend([piece.context, control]);
    pdu.extend(piece.bytes);
    pdu
}

/// Bytes of a message that go into one P-DATA-TF to a peer that takes so many bytes; 0 stands for any number.
pub fn piece_bytes(peer: u32) -> usize {
    let length = if peer == 0 {
        PDU_BYTES
    } else {
        peer.clamp(128, PDU_BYTES)
    };
    length as usize - 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_as_they_were_put() {
        let first = Piece {
            context: 3,
            command: true,
            last: false,
            bytes: b"abcd",
        };
        let pdu = data(first);
        assert_eq!(pdu.len(), 6 + 10);
        let mut body = &pdu[6..];
        assert_eq!(piece(&mut body).unwrap(), Some(first));
        assert_eq!(piece(&mut body).unwrap(), None);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for bytes in [
            &[0, 0, 0][..],
            &[0, 0, 0, 0],
            &[0, 0, 0, 1, 1],
            &[0, 0, 0, 9, 1, 3, 0],
            &[0xff, 0xff, 0xff, 0xff, 1, 3],
        ] {
            assert!(piece(&mut &*bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(piece_bytes(0), PDU_BYTES as usize - 6);
        assert_eq!(piece_bytes(1), 122);
    }
}
