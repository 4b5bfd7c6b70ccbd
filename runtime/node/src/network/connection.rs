//! The transport of PDUs: a socket with or without TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::network::tls::TlsStream;

/// A connection. Reads and writes end after a timeout, complete or not.
pub enum Connection {
    Plain {
        socket: TcpStream,
        /// Whether any byte was received.
        has_heard: bool,
    },
    Tls(Box<TlsStream>),
}

impl From<TcpStream> for Connection {
    fn from(socket: TcpStream) -> Self {
        Self::Plain {
            socket,
            has_heard: false,
        }
    }
}

impl From<TlsStream> for Connection {
    fn from(stream: TlsStream) -> Self {
        Self::Tls(Box::new(stream))
    }
}

impl Connection {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain { socket, .. } => socket,
            Self::Tls(stream) => stream.socket(),
        }
    }

    /// Sets the timeout of reads and writes.
    ///
    /// **Errors**: the system refuses.
    pub fn set_slice(&self, slice: Duration) -> io::Result<()> {
        let socket = self.socket();
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(slice))?;
        socket.set_write_timeout(Some(slice))?;
        socket.set_nodelay(true)
    }

    /// Whether any byte was received.
    pub fn has_heard(&self) -> bool {
        match self {
            Self::Plain { has_heard, .. } => *has_heard,
            Self::Tls(stream) => stream.has_heard(),
        }
    }

    /// Reads available bytes.
    ///
    /// **Errors**: the system's; [`io::ErrorKind::WouldBlock`] or [`io::ErrorKind::TimedOut`] where nothing came in its
    /// time; a [`TlsFault`](crate::network::tls::TlsFault) within.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain { socket, has_heard } => {
                let count = socket.read(buffer)?;
                *has_heard |= count > 0;
                Ok(count)
            }
            Self::Tls(stream) => stream.read(buffer),
        }
    }

    /// Takes bytes to be sent; returns how many.
    ///
    /// **Errors**: as [`Connection::read`].
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain { socket, .. } => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    /// Sends the bytes taken so far.
    ///
    /// **Errors**: as [`Connection::read`].
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain { .. } => Ok(()),
            Self::Tls(stream) => stream.flush(),
        }
    }

    /// Shuts down the sending direction.
    pub fn end(&mut self) {
        if let Self::Tls(stream) = self {
            stream.say_end();
        }
        let _ = self.socket().shutdown(Shutdown::Write);
    }

    /// Discards received bytes; returns whether more may come.
    pub fn waste(&self) -> bool {
        let mut socket = self.socket();
        socket.read(&mut [0; 4096]).is_ok_and(|count| count > 0)
    }

    /// Shuts down both directions.
    pub fn close(&self) {
        let _ = self.socket().shutdown(Shutdown::Both);
    }
}
