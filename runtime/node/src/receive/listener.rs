//! Waits for connections and gives each a thread, up to a number.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::log;
use crate::metrics::Counter;
use crate::node::Shared;
use crate::receive::session;

/// Connections above the limit that are told so; more are closed without a word.
const SPARE: usize = 8;

/// Connections and who they are of.
#[derive(Debug, Default)]
pub struct Slots {
    connections: AtomicUsize,
    callers: Mutex<HashMap<String, usize>>,
}

impl Slots {
    /// Connections now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
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

/// A connection; dropped, it no longer counts.
struct Connection(Arc<Shared>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.slots.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Listens for associations.
pub struct Listener {
    address: SocketAddr,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Begins to listen.
    ///
    /// **Errors**: the address cannot be had.
    pub fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let listener = TcpListener::bind((shared.config.bind, shared.config.port))?;
        let address = listener.local_addr()?;
        let shared = Arc::clone(shared);
        let thread = thread::Builder::new()
            .name("listen".to_owned())
            .spawn(move || listen(&shared, &listener))?;
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

fn listen(shared: &Arc<Shared>, listener: &TcpListener) {
    loop {
        let accepted = listener.accept();
        if shared.stop.is_requested() {
            return;
        }
        match accepted {
            Ok((stream, peer)) => connect(shared, stream, peer.ip().to_canonical()),
            Err(reason) => {
                // No more file descriptors, as a rule; they come back.
                log::error(format_args!("no connection can be accepted: {reason}"));
                thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

fn connect(shared: &Arc<Shared>, stream: TcpStream, from: IpAddr) {
    let before = shared.slots.connections.fetch_add(1, Ordering::AcqRel);
    let connection = Connection(Arc::clone(shared));
    let most = shared.config.limits.associations;
    if before >= most + SPARE {
        shared.metrics.count(Counter::Associations, &["busy"]);
        return;
    }
    let served = Arc::clone(shared);
    let thread = thread::Builder::new()
        .name("associate".to_owned())
        .stack_size(512 << 10)
        .spawn(move || {
            let _connection = connection;
            let serve = || session::serve(&served, stream, from, before >= most);
            if panic::catch_unwind(AssertUnwindSafe(serve)).is_err() {
                log::error(format_args!(
                    "connection from {from}: ended by a mistake in vesal itself"
                ));
            }
        });
    if let Err(reason) = thread {
        log::error(format_args!("no thread for a connection: {reason}"));
    }
}
