//! Working memory of workers.

use std::sync::{Mutex, PoisonError};

use super::tile::LANES;

/// Floats per cache line.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct CacheLine {
    #[allow(dead_code, reason = "lines are seen as one slice of floats")]
    floats: [f32; LANES],
}

/// Memory of one worker.
#[derive(Default)]
pub(crate) struct ScratchBuffer(Vec<CacheLine>);

/// Memory of workers, kept from layer to layer.
#[derive(Default)]
pub(crate) struct Scratch(Mutex<Vec<ScratchBuffer>>);

impl Scratch {
    /// A buffer of at least this number of floats, with arbitrary values.
    pub fn take(&self, floats: usize) -> ScratchBuffer {
        let lines = floats.div_ceil(LANES);
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match free {
            Some(piece) if piece.0.len() >= lines => piece,
            too_short => {
                drop(too_short);
                ScratchBuffer(vec![
                    CacheLine {
                        floats: [0.; LANES]
                    };
                    lines
                ])
            }
        }
    }

    /// Returns a piece for the next worker.
    pub fn give_back(&self, piece: ScratchBuffer) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(piece);
    }
}

impl ScratchBuffer {
    /// Its floats, aligned to a cache line.
    pub fn floats(&mut self) -> &mut [f32] {
        // SAFETY: lines are as long as their floats and follow one another.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }
}
