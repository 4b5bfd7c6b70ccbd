//! A TLS connection over a socket whose reads and writes end after a while, whole or not.
//!
//! Every call reads or writes the socket once at most, so that whoever calls sees after each whether its time is over: a
//! peer that sends a byte now and then does not keep anybody here. The handshake takes place in the first calls.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use rustls_pki_types::ServerName;

use crate::network::tls::TlsFault;
use crate::network::wire::{is_slice, kind};

/// Bytes of a handshake that are let pass; chains of certificates have some thousand.
const HANDSHAKE_BYTES_MAX: usize = 1 << 17;

/// Types of TLS records: an alert, and a part of a handshake (RFC 8446 5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// A TLS connection.
pub struct TlsStream {
    tls: Connection,
    socket: TcpStream,
    /// Bytes that came, and are not yet taken by `tls`.
    raw: Vec<u8>,
    taken: usize,
    /// Bytes that came in all.
    heard: u64,
}

/// Bytes that are read from the socket at once.
const READ_BYTES: usize = 1 << 14;

impl TlsStream {
    /// The side that was connected to.
    ///
    /// **Errors**: the library refuses.
    pub fn server(config: Arc<ServerConfig>, socket: TcpStream) -> Result<Self, TlsFault> {
        let tls = ServerConnection::new(config)?;
        Ok(Self::new(tls.into(), socket))
    }

    /// The side that connects, to a server of this name.
    ///
    /// **Errors**: the library refuses.
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

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Whether anything has come.
    pub fn has_heard(&self) -> bool {
        self.heard > 0
    }

    /// Reads what is there; [`io::ErrorKind::WouldBlock`] where the socket gave nothing that can be read yet.
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
                // Our side of the handshake, or its answers.
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
                // The alert that tells the peer.
                let _ = self.tls.write_tls(&mut self.socket);
                return Err(fault(error.into()));
            }
        }
    }

    /// Reads the socket once.
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

    /// Knows a peer without TLS by its first byte.
    fn look(&mut self, first: u8) -> io::Result<()> {
        match (&self.tls, first) {
            (_, HANDSHAKE | ALERT) => Ok(()),
            (Connection::Server(_), kind::REQUEST) => {
                // In its own words: aborted by the provider, for no reason that DICOM knows.
                let abort = [kind::ABORT, 0, 0, 0, 0, 4, 0, 0, 2, 0];
                let _ = self.socket.write(&abort);
                Err(fault(TlsFault::PlainRequest))
            }
            (Connection::Server(_), _) => Ok(()),
            (Connection::Client(_), _) => Err(fault(TlsFault::PlainAnswer)),
        }
    }

    /// Takes bytes to be sent, as many as there is room for.
    ///
    /// **Errors**: as of the socket; [`io::ErrorKind::WouldBlock`] where there is no room.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_once()?;
        match self.tls.writer().write(bytes)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    /// Sends what was taken; [`io::ErrorKind::WouldBlock`] where some is left.
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

    /// Says that nothing more comes.
    pub fn say_end(&mut self) {
        self.tls.send_close_notify();
        let _ = self.tls.write_tls(&mut self.socket);
    }
}

fn fault(fault: TlsFault) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}
