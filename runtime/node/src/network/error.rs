//! Why a connection ends.

use std::io;

use crate::network::tls::TlsFault;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The peer has closed the connection.
    #[error("the connection was closed")]
    Closed,
    /// The peer exceeded a time limit.
    #[error("no complete message arrived within the time limit")]
    TimedOut,
    #[error("the node stops")]
    Stopped,
    #[error("the peer aborted the association")]
    Aborted,
    /// A PDU exceeds the limit of its length.
    #[error("a PDU states {length} bytes, expected at most {limit}")]
    TooLong {
        length: u32,
        /// Limit in bytes.
        limit: u32,
    },
    /// A PDU or message breaks a rule.
    #[error("{0}")]
    Malformed(&'static str),
    /// A PDU of an unexpected type.
    #[error("a PDU of type {found} is not allowed at this point")]
    Unexpected { found: u8 },
    /// The peer rejects the association.
    #[error("the association was rejected: {0}")]
    Rejected(&'static str),
    /// A TLS handshake where TLS is not expected.
    #[error("a TLS handshake arrived at a port without TLS")]
    UnexpectedTls,
    #[error("TLS: {0}")]
    Tls(TlsFault),
    /// The system reports an error.
    #[error("the connection failed: {0}")]
    Io(io::ErrorKind),
}

impl ConnectionError {
    pub(super) fn io(reason: &io::Error) -> Self {
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
