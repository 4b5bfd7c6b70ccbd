//! A pool of connections, in which those without a request yet do not keep others out.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Limits of a pool.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Most connections without a request yet.
    pub waiting: usize,
    /// Most connections that are served.
    pub served: usize,
    /// Most connections of one address, of both kinds.
    pub per_address: usize,
}

/// The connections without a request yet, and those that are served.
///
/// A new connection always gets a place: where none is free, the connection that has waited longest is closed, of its
/// own address if that has reached its limit, otherwise of the address with most waiting connections.
#[derive(Debug)]
pub struct ConnectionPool {
    places: PoolLimits,
    /// Connections whose thread still runs, including those that gave way.
    open: AtomicUsize,
    held: Mutex<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    next: u64,
    /// In the order in which they came.
    waiting: BTreeMap<u64, Waiting>,
    served: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Waiting {
    from: IpAddr,
    stream: TcpStream,
}

/// The place of a connection, which is free once dropped.
#[derive(Debug)]
pub struct ConnectionPlace {
    pool: Arc<ConnectionPool>,
    from: IpAddr,
    kind: PlaceState,
}

#[derive(Debug)]
enum PlaceState {
    Waiting(u64),
    Served,
}

impl ConnectionPool {
    /// An empty pool with these limits.
    pub fn new(places: PoolLimits) -> Arc<Self> {
        Arc::new(Self {
            places,
            open: AtomicUsize::new(0),
            held: Mutex::default(),
        })
    }

    fn held(&self) -> MutexGuard<'_, PoolState> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Number of connections from this address without a request yet.
    pub fn waiting(&self, from: IpAddr) -> usize {
        self.held().waiting_of(from)
    }

    /// Gives a connection a place; with the address of the connection that gave way for it.
    ///
    /// **Errors**: the system has no file descriptor left.
    pub fn enter(
        self: &Arc<Self>,
        stream: &TcpStream,
        from: IpAddr,
    ) -> io::Result<(ConnectionPlace, Option<IpAddr>)> {
        let stream = stream.try_clone()?;
        let mut held = self.held();
        let own = held.waiting_of(from);
        let gives_way = if own > 0 && own + held.served_of(from) >= self.places.per_address {
            Some(from)
        } else if held.waiting.len() >= self.places.waiting {
            held.most_waiting()
        } else {
            None
        };
        if let Some(address) = gives_way {
            held.give_way(address);
        }
        let number = held.next;
        held.next += 1;
        held.waiting.insert(number, Waiting { from, stream });
        self.open.fetch_add(1, Ordering::AcqRel);
        let place = ConnectionPlace {
            pool: Arc::clone(self),
            from,
            kind: PlaceState::Waiting(number),
        };
        Ok((place, gives_way))
    }
}

impl PoolState {
    fn waiting_of(&self, from: IpAddr) -> usize {
        self.waiting.values().filter(|one| one.from == from).count()
    }

    fn served_of(&self, from: IpAddr) -> usize {
        self.served.get(&from).copied().unwrap_or_default()
    }

    /// The address with most waiting connections; of several, the one that has waited longest.
    fn most_waiting(&self) -> Option<IpAddr> {
        let mut most: Option<(usize, IpAddr)> = None;
        for one in self.waiting.values() {
            let count = self.waiting_of(one.from);
            if most.is_none_or(|(known, _)| count > known) {
                most = Some((count, one.from));
            }
        }
        most.map(|(_, from)| from)
    }

    fn give_way(&mut self, of: IpAddr) {
        let oldest = self.waiting.iter().find(|(_, one)| one.from == of);
        if let Some(one) = oldest
            .map(|(number, _)| *number)
            .and_then(|number| self.waiting.remove(&number))
        {
            // Its thread then reads the end of the stream.
            let _ = one.stream.shutdown(Shutdown::Both);
        }
    }
}

impl ConnectionPlace {
    /// Counts the connection as served; `false` where there is no place,
    /// or where it had to give way.
    pub fn serve(&mut self) -> bool {
        let PlaceState::Waiting(number) = self.kind else {
            return true;
        };
        let places = self.pool.places;
        let mut held = self.pool.held();
        let served: usize = held.served.values().sum();
        let is_free = served < places.served && held.served_of(self.from) < places.per_address;
        if !is_free || held.waiting.remove(&number).is_none() {
            return false;
        }
        *held.served.entry(self.from).or_default() += 1;
        drop(held);
        self.kind = PlaceState::Served;
        true
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut held = self.pool.held();
        match self.kind {
            PlaceState::Waiting(number) => {
                held.waiting.remove(&number);
            }
            PlaceState::Served => {
                if let Some(count) = held.served.get_mut(&self.from) {
                    *count -= 1;
                    if *count == 0 {
                        held.served.remove(&self.from);
                    }
                }
            }
        }
        self.pool.open.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    /// A connection: this side's end and the other's.
    fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, there)
    }

    fn is_closed(stream: &mut TcpStream) -> bool {
        let time = std::time::Duration::from_millis(200);
        stream.set_read_timeout(Some(time)).unwrap();
        matches!(stream.read(&mut [0]), Ok(0))
    }

    #[test]
    fn those_who_flood_give_way_to_others_and_to_themselves() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pool = ConnectionPool::new(PoolLimits {
            waiting: 4,
            served: 3,
            per_address: 3,
        });
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        let enter = |last: u8| {
            let (here, there) = pair(&listener);
            let (place, gave_way) = pool.enter(&here, address(last)).unwrap();
            (place, gave_way, there)
        };
        let mut one: Vec<_> = (0..3).map(|_| enter(1)).collect();
        assert!(one.iter().all(|(_, gave_way, _)| gave_way.is_none()));
        // The address is at its limit, so its own oldest connection gives way.
        let fourth = enter(1);
        assert_eq!(fourth.1, Some(address(1)));
        assert!(is_closed(&mut one[0].2));
        assert!(!one[0].0.serve(), "it gave way");
        // Another address fills the places; a new connection takes one from the address with most waiting.
        let two = enter(2);
        assert_eq!(two.1, None);
        let three = enter(3);
        assert_eq!(three.1, Some(address(1)));
        assert!(is_closed(&mut one[1].2));
        assert!(!is_closed(&mut one[2].2));
        // Served connections do not wait, but count for their address.
        let mut served: Vec<_> = (0..3).map(|_| enter(4)).collect();
        assert!(served[2].0.serve());
        drop(served);
        assert_eq!(pool.held().served.len(), 0);
        drop((one, two, three, fourth));
        assert_eq!(pool.connections(), 0);
        let mut served: Vec<_> = (0..3).map(|_| enter(4)).collect();
        assert!(served.iter_mut().all(|(place, _, _)| place.serve()));
        // No place for serving, but one for the rejection.
        let mut busy = enter(4);
        assert_eq!(busy.1, None);
        assert!(!busy.0.serve());
        let mut other = enter(5);
        assert!(!other.0.serve());
        drop(served.pop());
        assert!(other.0.serve());
        assert_eq!(pool.waiting(address(4)), 1);
    }
}
