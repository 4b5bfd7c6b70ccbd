//! Limits the connections to the node: in all, of an address, of a caller.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Config;
use crate::network::pool::{ConnectionPlace, ConnectionPool, PoolLimits};

/// Most connections that have not requested an association yet.
const WAITING: usize = 32;

/// Most threads of connections that gave way and are about to end.
const ENDING: usize = 64;

/// The connections of a node.
#[derive(Debug)]
pub struct ConnectionSlots {
    pool: Arc<ConnectionPool>,
    /// Associations of each caller.
    callers: Mutex<HashMap<String, usize>>,
    per_caller: usize,
    /// Addresses that may connect; `None` for all.
    addresses: Option<BTreeSet<IpAddr>>,
    threads_max: usize,
}

impl ConnectionSlots {
    /// With the limits of these settings.
    pub fn new(config: &Config) -> Self {
        let served = config.limits.associations;
        Self {
            pool: ConnectionPool::new(PoolLimits {
                waiting: WAITING,
                served,
                per_address: config.limits.connections_per_address,
            }),
            callers: Mutex::default(),
            per_caller: config.limits.associations_per_caller,
            addresses: config.callers.addresses(),
            threads_max: served + WAITING + ENDING,
        }
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.pool.connections()
    }

    /// Whether this address may connect.
    pub fn admits(&self, from: IpAddr) -> bool {
        let addresses = self.addresses.as_ref();
        addresses.is_none_or(|known| known.contains(&from))
    }

    /// Whether there are as many connections, those included that are about to end, as may have threads.
    pub fn are_exhausted(&self) -> bool {
        self.connections() >= self.threads_max
    }

    /// Gives a connection a place to wait in; with the address of the connection that gave way for it.
    ///
    /// **Errors**: as [`ConnectionPool::enter`].
    pub fn enter(
        &self,
        stream: &TcpStream,
        from: IpAddr,
    ) -> io::Result<(ConnectionPlace, Option<IpAddr>)> {
        self.pool.enter(stream, from)
    }
}

/// An association that counts for its caller until it is dropped.
pub struct CallerSlot {
    slots: Arc<ConnectionSlots>,
    caller: String,
}

impl CallerSlot {
    /// Counts an association; `None` where the caller has as many as it may.
    pub fn take(slots: &Arc<ConnectionSlots>, caller: &str) -> Option<Self> {
        let mut callers = slots.callers();
        let count = callers.entry(caller.to_owned()).or_insert(0);
        if *count >= slots.per_caller {
            return None;
        }
        *count += 1;
        Some(Self {
            slots: Arc::clone(slots),
            caller: caller.to_owned(),
        })
    }
}

impl Drop for CallerSlot {
    fn drop(&mut self) {
        let mut callers = self.slots.callers();
        if let Some(count) = callers.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                callers.remove(&self.caller);
            }
        }
    }
}
