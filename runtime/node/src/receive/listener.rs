//! Accepts connections and serves each in a thread, up to a limit; those that have not requested an association yet
//! do not keep others out.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use crate::log;
use crate::metrics::Counter;
use crate::network::connection::Connection;
use crate::network::tls::TlsStream;
use crate::network::wake_listener;
use crate::node_state::NodeState;
use crate::receive::session;

pub struct Listener {
    address: SocketAddr,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Starts to listen at a port, with TLS if there is a configuration of it.
    ///
    /// **Errors**: the address is not available.
    pub fn start(
        shared: &Arc<NodeState>,
        port: u16,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((shared.config.bind, port))?;
        let address = listener.local_addr()?;
        let shared = Arc::clone(shared);
        let thread = thread::Builder::new()
            .name("listen".to_owned())
            .spawn(move || listen(&shared, &listener, tls.as_ref()))?;
        Ok(Self { address, thread })
    }

    /// Address that it listens at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the end of the associations, after [`Stop::request`](crate::stop::Stop::request).
    pub fn join(self, shared: &NodeState) {
        wake_listener(self.address);
        let _ = self.thread.join();
        // Their waits check for a stop several times a second.
        let end = Instant::now() + shared.config.limits.shutdown + Duration::from_secs(2);
        while shared.slots.connections() > 0 && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn listen(shared: &Arc<NodeState>, listener: &TcpListener, tls: Option<&Arc<ServerConfig>>) {
    loop {
        let accepted = listener.accept();
        if shared.stop.is_requested() {
            return;
        }
        match accepted {
            Ok((stream, peer)) => connect(shared, stream, peer.ip().to_canonical(), tls),
            Err(reason) => {
                // Usually there are no more file descriptors, for a while.
                let here = shared.config.bind;
                let line = format_args!("no connection can be accepted: {reason}");
                shared.rejected.warning(here, line);
                thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

fn connect(
    shared: &Arc<NodeState>,
    stream: TcpStream,
    from: IpAddr,
    tls: Option<&Arc<ServerConfig>>,
) {
    let refuse = |word: &str, why: &dyn fmt::Display| {
        shared.metrics.count(Counter::Associations, &[word]);
        let line = format_args!("connection from {from}: {why}");
        shared.rejected.warning(from, line);
    };
    let slots = &shared.slots;
    if !slots.admits(from) {
        return refuse("address", &"refused, no caller has this address");
    }
    if slots.are_exhausted() {
        return refuse("busy", &"refused, too many connections end at once");
    }
    let place = match slots.enter(&stream, from) {
        Ok((place, None)) => place,
        Ok((place, Some(other))) => {
            shared.metrics.count(Counter::Associations, &["gave way"]);
            let line = format_args!(
                "connection from {other}: closed in favor of a new one before it sent a request"
            );
            shared.rejected.warning(other, line);
            place
        }
        Err(reason) => return refuse("failed", &reason),
    };
    let connection = match tls {
        None => Ok(Connection::from(stream)),
        Some(config) => TlsStream::server(Arc::clone(config), stream).map(Connection::from),
    };
    let connection = match connection {
        Ok(connection) => connection,
        Err(fault) => return refuse("failed", &fault),
    };
    let served = Arc::clone(shared);
    let thread = thread::Builder::new()
        .name("associate".to_owned())
        .stack_size(512 << 10)
        .spawn(move || {
            let serve = || session::serve(&served, connection, from, place);
            if panic::catch_unwind(AssertUnwindSafe(serve)).is_err() {
                log::error(format_args!(
                    "connection from {from}: ended by an internal error of vesal"
                ));
            }
        });
    if let Err(reason) = thread {
        refuse("failed", &format_args!("no thread for it: {reason}"));
    }
}
