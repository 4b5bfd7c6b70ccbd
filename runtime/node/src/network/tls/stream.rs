//! A TLS connection over a socket whose reads and writes end after a timeout, complete or not.
//!
//! Every call reads or writes the socket at most once, so that the caller can check its deadline after each: a
//! peer that sends single bytes does not block it. The handshake takes place in the first calls.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use rustls_pki_types::ServerName;

use crate::network::pdu::pdu_type;
use crate::network::timeout::is_slice;
use crate::network::tls::TlsFault;

/// Longest handshake in bytes; chains of certificates have some thousand.
const HANDSHAKE_BYTES_MAX: usize = 1 << 17;

/// Types of TLS records: an alert, and a part of a handshake (RFC 8446 5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

pub struct TlsStream {
    tls: Connection,
    socket: TcpStream,
    /// Received bytes that `tls` has not taken yet.
    raw: Vec<u8>,
    taken: usize,
    /// Number of received bytes.
    heard: u64,
}

/// Size of a read from the socket in bytes.
const READ_BYTES: usize = 1 << 14;

impl TlsStream {
    /// The server's side.
    ///
    /// **Errors**: the library refuses the configuration.
    pub fn server(config: Arc<ServerConfig>, socket: TcpStream) -> Result<Self, TlsFault> {
        let tls = ServerConnection::new(config)?;
        Ok(Self::new(tls.into(), socket))
    }

    /// The client's side, to a server of this name.
    ///
    /// **Errors**: the library refuses the configuration.
    pub fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        socket: TcpStream,
    ) -> Result<Self, TlsFault> {
        let tls = ClientConnection::new(config, name)?;
        Ok(Self::new(tls.into(), socket))
    }

    fn new(tls: Connection, socket: TcpStream) -> Self {
        Self {
            tls,
            socket,
            raw: Vec::new(),
            taken: 0,
            heard: 0,
        }
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Whether any byte was received.
    pub fn has_heard(&self) -> bool {
        self.heard > 0
    }

    /// Reads available bytes; [`io::ErrorKind::WouldBlock`] where the socket gave no complete record.
    ///
    /// **Errors**: as of the socket; a [`TlsFault`].
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut has_read = false;
        loop {
            match self.tls.reader().read(buffer) {
                Err(reason) if reason.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            if self.taken == self.raw.len() {
                // Messages of the handshake.
                match self.write_once() {
                    Err(reason) if !is_slice(&reason) => return Err(reason),
                    _ => {}
                }
                if has_read {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                self.fetch()?;
                if self.raw.is_empty() {
                    return Ok(0);
                }
                has_read = true;
            }
            let mut rest = &self.raw[self.taken..];
            let before = rest.len();
            self.tls.read_tls(&mut rest)?;
            self.taken += before - rest.len();
            if let Err(error) = self.tls.process_new_packets() {
                // An alert to the peer.
                let _ = self.tls.write_tls(&mut self.socket);
                return Err(fault(error.into()));
            }
        }
    }

    fn fetch(&mut self) -> io::Result<()> {
        self.taken = 0;
        self.raw.resize(READ_BYTES, 0);
        let count = self.socket.read(&mut self.raw);
        self.raw
            .truncate(count.as_ref().copied().unwrap_or_default());
        count?;
        if let (0, Some(&first)) = (self.heard, self.raw.first()) {
            self.look(first)?;
        }
        self.heard += self.raw.len() as u64;
        if self.tls.is_handshaking() && self.heard > HANDSHAKE_BYTES_MAX as u64 {
            let limit = HANDSHAKE_BYTES_MAX;
            return Err(fault(TlsFault::TooLong { limit }));
        }
        Ok(())
    }

    /// Detects a peer without TLS by its first byte.
    fn look(&mut self, first: u8) -> io::Result<()> {
        match (&self.tls, first) {
            (_, HANDSHAKE | ALERT) => Ok(()),
            (Connection::Server(_), pdu_type::REQUEST) => {
                // A-ABORT in plain DICOM, by the provider, reason not specified.
                let abort = [pdu_type::ABORT, 0, 0, 0, 0, 4, 0, 0, 2, 0];
                let _ = self.socket.write(&abort);
                Err(fault(TlsFault::PlainRequest))
            }
            (Connection::Server(_), _) => Ok(()),
            (Connection::Client(_), _) => Err(fault(TlsFault::PlainAnswer)),
        }
    }

    /// Takes bytes to be sent, as many as the buffer can hold.
    ///
    /// **Errors**: as of the socket; [`io::ErrorKind::WouldBlock`] where there is no room.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_once()?;
        match self.tls.writer().write(bytes)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    /// Sends the bytes taken so far; [`io::ErrorKind::WouldBlock`] where some are left.
    ///
    /// **Errors**: as of the socket.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write_once()?;
        if self.tls.wants_write() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    }

    fn write_once(&mut self) -> io::Result<()> {
        if self.tls.wants_write() {
            self.tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// Sends a close notification.
    pub fn say_end(&mut self) {
        self.tls.send_close_notify();
        let _ = self.tls.write_tls(&mut self.socket);
    }
}

fn fault(fault: TlsFault) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}
