//! Parallel work on cases, as far as cores and memory allow.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};

use crate::memory::HostMemory;

/// Cases take at most one part in this many of the free memory together.
const MEMORY_SHARE: u64 = 2;

/// Admits cases while their memory stays within `limit`; a single case is admitted whatever its size.
struct Gate {
    limit: u64,
    inside: Mutex<Inside>,
    left: Condvar,
}

#[derive(Default)]
struct Inside {
    cases: usize,
    bytes: u64,
}

impl Gate {
    fn new(limit: u64) -> Self {
        Self {
            limit,
            inside: Mutex::default(),
            left: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is memory for `bytes`.
    fn enter(&self, bytes: u64) -> Permit<'_> {
        let full = |inside: &mut Inside| {
            inside.cases > 0 && inside.bytes.saturating_add(bytes) > self.limit
        };
        let waited = self.left.wait_while(self.lock(), full);
        let mut inside = waited.unwrap_or_else(PoisonError::into_inner);
        inside.cases += 1;
        inside.bytes = inside.bytes.saturating_add(bytes);
        Permit { gate: self, bytes }
    }
}

/// Memory reserved for one case; released when dropped.
struct Permit<'a> {
    gate: &'a Gate,
    bytes: u64,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut inside = self.gate.lock();
        inside.cases -= 1;
        inside.bytes = inside.bytes.saturating_sub(self.bytes);
        self.gate.left.notify_all();
    }
}

/// Opens and processes each of `count` items on as many threads as there are cores; `receive` gets the results in any
/// order.
///
/// **Definition**: `open` gives an item and the bytes that its processing takes. Together, items take at most half of
/// the memory that is free at the beginning, unless a single one needs more.
pub(super) fn for_each<O, R: Send, E: Send>(
    count: usize,
    open: impl Fn(usize) -> Result<(O, u64), E> + Sync,
    work: impl Fn(O) -> Result<R, E> + Sync,
    mut receive: impl FnMut(usize, Result<R, E>),
) {
    let free = HostMemory::read().map_or(u64::MAX, |host| host.available / MEMORY_SHARE);
    let (gate, next) = (Gate::new(free), AtomicUsize::new(0));
    let threads = rayon::current_num_threads().min(count);
    // Threads of our own instead of a parallel iterator: a worker that waits inside an item would begin another one,
    // and so hold several items in memory.
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let (sender, next, gate, open, work) = (sender.clone(), &next, &gate, &open, &work);
            scope.spawn(move || {
                loop {
                    let position = next.fetch_add(1, Ordering::Relaxed);
                    if position >= count {
                        return;
                    }
                    let result = open(position).and_then(|(item, bytes)| {
                        let _room = gate.enter(bytes);
                        work(item)
                    });
                    if sender.send((position, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (position, result) in receiver {
            receive(position, result);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_lets_in_what_fits_and_anything_alone() {
        let gate = Gate::new(10);
        let large = gate.enter(100);
        drop(large);
        let most = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _room = gate.enter(4);
                    most.fetch_max(gate.lock().cases, Ordering::Relaxed);
                    std::thread::yield_now();
                });
            }
        });
        assert!((1..=2).contains(&most.into_inner()));
        let inside = gate.lock();
        assert_eq!((inside.cases, inside.bytes), (0, 0));
    }

    #[test]
    fn every_item_gives_one_result() {
        let open = |position| match position % 3 {
            0 => Err(position),
            _ => Ok((position, 1)),
        };
        let mut found = Vec::new();
        for_each(
            20,
            open,
            |item| Ok(10 * item),
            |position, result| {
                found.push((position, result));
            },
        );
        found.sort_unstable();
        let expected = |position| match position % 3 {
            0 => (position, Err(position)),
            _ => (position, Ok(10 * position)),
        };
        assert_eq!(found, (0..20).map(expected).collect::<Vec<_>>());
    }
}
