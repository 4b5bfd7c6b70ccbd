//! Waits for connections and gives each a thread, up to a number; those that have not asked for an association yet
//! do not keep others out.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use crate::config::Config;
use crate::log;
use crate::metrics::Counter;
use crate::network::connection::Connection;
use crate::network::pool::{Places, Pool};
use crate::network::tls::TlsStream;
use crate::node::Shared;
use crate::receive::session;

/// Connections that wait for their association request.
const WAITING: usize = 32;

/// Threads of connections that gave way and are about to end.
const ENDING: usize = 64;

/// Connections and who they are of.
#[derive(Debug)]
pub struct Slots {
    pool: Arc<Pool>,
    callers: Mutex<HashMap<String, usize>>,
    /// Addresses that may connect; `None` for any.
    addresses: Option<BTreeSet<IpAddr>>,
    threads_max: usize,
}

impl Slots {
    /// The places that these settings give.
    pub fn new(config: &Config) -> Self {
        let served = config.limits.associations;
        Self {
            pool: Pool::new(Places {
                waiting: WAITING,
                served,
                per_address: config.limits.connections_per_address,
            }),
            callers: Mutex::default(),
            addresses: config.callers.addresses(),
            threads_max: served + WAITING + ENDING,
        }
    }

    /// Connections now.
    pub fn connections(&self) -> usize {
        self.pool.connections()
    }
}

/// An association of a caller; dropped, it no longer counts.
pub struct CallerSlot {
    shared: Arc<Shared>,
    caller: String,
}

impl CallerSlot {
    /// Counts one more; `None` where the caller has as many as it may.
    pub fn take(shared: &Arc<Shared>, caller: &str) -> Option<Self> {
        let mut callers = shared
            .slots
            .callers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = callers.entry(caller.to_owned()).or_insert(0);
        if *count >= shared.config.limits.associations_per_caller {
            return None;
        }
        *count += 1;
        Some(Self {
            shared: Arc::clone(shared),
            caller: caller.to_owned(),
        })
    }
}

impl Drop for CallerSlot {
    fn drop(&mut self) {
        let mut callers = self
            .shared
            .slots
            .callers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = callers.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                callers.remove(&self.caller);
            }
        }
    }
}

/// Listens for associations.
pub struct Listener {
    address: SocketAddr,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Begins to listen at a port; with TLS where there is something to take it with.
    ///
    /// **Errors**: the address cannot be had.
    pub fn start(
        shared: &Arc<Shared>,
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

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends, after [`Stop::request`](crate::stop::Stop::request): waits for the associations.
    pub fn join(self, shared: &Shared) {
        wake(self.address);
        let _ = self.thread.join();
        // Their waits look for the end several times a second.
        let end = Instant::now() + shared.config.limits.shutdown + Duration::from_secs(2);
        while shared.slots.connections() > 0 && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Connects once, so that a listener looks whether it is to end.
pub fn wake(mut address: SocketAddr) {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        });
    }
    let _ = TcpStream::connect_timeout(&address, Duration::from_millis(500));
}

fn listen(shared: &Arc<Shared>, listener: &TcpListener, tls: Option<&Arc<ServerConfig>>) {
    loop {
        let accepted = listener.accept();
        if shared.stop.is_requested() {
            return;
        }
        match accepted {
            Ok((stream, peer)) => connect(shared, stream, peer.ip().to_canonical(), tls),
            Err(reason) => {
                // No more file descriptors, as a rule; they come back.
                let here = shared.config.bind;
                let line = format_args!("no connection can be accepted: {reason}");
                shared.rejected.warning(here, line);
                thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

fn connect(shared: &Arc<Shared>, stream: TcpStream, from: IpAddr, tls: Option<&Arc<ServerConfig>>) {
    let refuse = |word: &str, why: &dyn fmt::Display| {
        shared.metrics.count(Counter::Associations, &[word]);
        let line = format_args!("connection from {from}: {why}");
        shared.rejected.warning(from, line);
    };
    let slots = &shared.slots;
    let addresses = slots.addresses.as_ref();
    if addresses.is_some_and(|known| !known.contains(&from)) {
        return refuse("address", &"refused, no caller has this address");
    }
    if slots.connections() >= slots.threads_max {
        return refuse("busy", &"refused, too many connections end at once");
    }
    let place = match slots.pool.enter(&stream, from) {
        Ok((place, None)) => place,
        Ok((place, Some(other))) => {
            shared.metrics.count(Counter::Associations, &["gave way"]);
            let line = format_args!(
                "connection from {other}: asked for nothing yet, and gave way to a new one"
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
                    "connection from {from}: ended by a mistake in vesal itself"
                ));
            }
        });
    if let Err(reason) = thread {
        refuse("failed", &format_args!("no thread for it: {reason}"));
    }
}
