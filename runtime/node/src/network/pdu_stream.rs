//! Reads and writes PDUs on a connection, each within limits of time and size.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::network::connection::Connection;
use crate::network::error::ConnectionError;
use crate::network::pdu::pdu_type;
use crate::network::timeout::is_slice;
use crate::stop::Stop;

/// Longest accepted PDU in bytes: some senders count the head or round up.
const PDU_BYTES_MAX: u32 = 1 << 18;

/// Prefix of the record of a TLS handshake: its type, and the first byte of any version.
const TLS_HANDSHAKE: [u8; 2] = [22, 3];

/// Interval in which waits check whether to end.
const SLICE: Duration = Duration::from_millis(100);

pub struct PduStream {
    connection: Connection,
    body: Vec<u8>,
    /// Time limit for a PDU.
    idle: Duration,
    /// Deadline of the first byte.
    first: Instant,
    /// Deadline of the association.
    end: Instant,
    stop: Arc<Stop>,
}

impl PduStream {
    /// Takes over a connection.
    ///
    /// **Errors**: the system cannot set its timeouts.
    pub fn new(
        connection: impl Into<Connection>,
        idle: Duration,
        total: Duration,
        stop: Arc<Stop>,
    ) -> Result<Self, ConnectionError> {
        let connection = connection.into();
        connection
            .set_slice(SLICE)
            .map_err(|reason| ConnectionError::io(&reason))?;
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

    /// Sets the time limit for the first byte, from now.
    pub fn set_first(&mut self, first: Duration) {
        self.first = Instant::now() + first;
    }

    /// Sets the time limit for a PDU.
    pub fn set_idle(&mut self, idle: Duration) {
        self.idle = idle;
    }

    /// Reads a PDU; returns its type and variable part. With `idle`, between messages, a node that stops ends the wait
    /// at once.
    ///
    /// **Errors**: any of [`ConnectionError`]; [`ConnectionError::Aborted`] for an A-ABORT.
    pub fn read(&mut self, idle: bool) -> Result<(u8, &[u8]), ConnectionError> {
        let end = self.end.min(Instant::now() + self.idle);
        let mut head = [0; 6];
        self.fill(Part::Head(&mut head), end, idle)?;
        let [kind, version, l0, l1, l2, l3] = head;
        if [kind, version] == TLS_HANDSHAKE {
            return Err(ConnectionError::UnexpectedTls);
        }
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if length > PDU_BYTES_MAX {
            let limit = PDU_BYTES_MAX;
            return Err(ConnectionError::TooLong { length, limit });
        }
        self.fill(Part::Body(length as usize), end, false)?;
        if kind == pdu_type::ABORT {
            return Err(ConnectionError::Aborted);
        }
        Ok((kind, &self.body))
    }

    fn fill(&mut self, into: Part<'_>, end: Instant, idle: bool) -> Result<(), ConnectionError> {
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
                Ok(0) => return Err(ConnectionError::Closed),
                Ok(count) => filled += count,
                Err(reason) if is_slice(&reason) => {}
                Err(reason) => return Err(ConnectionError::io(&reason)),
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
    /// **Errors**: the peer is gone, or accepts nothing within the time limit.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), ConnectionError> {
        let end = self.end.min(Instant::now() + self.idle);
        while !bytes.is_empty() {
            match self.connection.write(bytes) {
                Ok(0) => return Err(ConnectionError::Closed),
                Ok(count) => bytes = &bytes[count..],
                Err(reason) if is_slice(&reason) => {}
                Err(reason) => return Err(ConnectionError::io(&reason)),
            }
            if !bytes.is_empty() {
                check(&self.stop, end, false)?;
            }
        }
        loop {
            match self.connection.flush() {
                Ok(()) => return Ok(()),
                Err(reason) if is_slice(&reason) => check(&self.stop, end, false)?,
                Err(reason) => return Err(ConnectionError::io(&reason)),
            }
        }
    }

    /// Aborts the association, with the nearest reason of A-ABORT, and closes the connection.
    pub fn abort(&mut self, why: &ConnectionError) {
        let reason = match why {
            ConnectionError::Unexpected { .. } => 2,
            ConnectionError::TooLong { .. } | ConnectionError::Malformed(_) => 6,
            _ => 0,
        };
        let source = if reason == 0 { 0 } else { 2 };
        // A peer that does not read must not delay this.
        self.idle = SLICE;
        self.end = Instant::now() + SLICE;
        let _ = self.write(&[pdu_type::ABORT, 0, 0, 0, 0, 4, 0, 0, source, reason]);
        self.close();
    }

    /// Closes the connection after sent bytes have arrived.
    pub fn close(&mut self) {
        self.connection.end();
        // Closing with unread bytes would reset the connection, and the peer might lose the last PDU.
        let end = Instant::now() + Duration::from_millis(500);
        while Instant::now() < end && self.connection.waste() {}
        self.connection.close();
    }
}

enum Part<'a> {
    Head(&'a mut [u8; 6]),
    Body(usize),
}

fn check(stop: &Stop, end: Instant, idle: bool) -> Result<(), ConnectionError> {
    if stop.is_over() || idle && stop.is_requested() {
        Err(ConnectionError::Stopped)
    } else if Instant::now() >= end {
        Err(ConnectionError::TimedOut)
    } else {
        Ok(())
    }
}
