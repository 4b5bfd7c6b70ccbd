//! Timeouts of sockets.

use std::io;

/// Whether a read or write ended by its timeout.
pub(super) fn is_slice(reason: &io::Error) -> bool {
    matches!(
        reason.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
