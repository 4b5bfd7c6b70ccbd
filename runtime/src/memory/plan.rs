//! Determines from headers, before any work, whether a run fits into memory.

use serde::Serialize;
use vesal_cases::CheckedCase;
use vesal_cli::host_memory::HostMemory;
use vesal_engine::{Ensemble, StageMemory};

use super::error::{Limit, MemoryError};
use crate::error::Error;
use crate::peak_memory;

/// Temporary memory of threads: blocks of files, buffers of the allocator.
const MARGIN_BYTES: u64 = 64 << 20;

/// Memory of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MemoryRecord {
    /// Limit in bytes, if there was one.
    pub limit_bytes: Option<u64>,
    /// Peak in bytes of the cases by their headers.
    pub planned_bytes: u64,
    /// Whether cases overlapped: the next one was read and the last one written while one was segmented.
    pub overlapped: bool,
}

/// Limits of a run, and its memory before the first case.
#[derive(Debug, Clone, Copy)]
pub struct MemoryPlan {
    limit: Option<(u64, Limit)>,
    /// The process and its networks.
    base: u64,
    /// Limit of GPU memory in bytes, and the part of the networks.
    device: Option<(u64, u64)>,
}

impl MemoryPlan {
    /// Measures a process whose networks are loaded.
    pub fn new(ensemble: &Ensemble, max_ram: Option<u64>, max_vram: Option<u64>) -> Self {
        let resident = peak_memory::current_bytes().unwrap_or(0);
        let limit = limit(max_ram, resident);
        let device = max_vram.map(|limit| (limit, ensemble.device_network_bytes()));
        Self {
            limit,
            device,
            base: resident
                .saturating_add(ensemble.network_bytes())
                .saturating_add(MARGIN_BYTES),
        }
    }

    /// Refuses cases that need too much memory even alone, and decides whether cases may overlap.
    pub fn settle(
        &self,
        ensemble: &Ensemble,
        cases: &mut [&mut Result<CheckedCase, Error>],
    ) -> MemoryRecord {
        let mut fitting = Vec::new();
        for case in cases.iter_mut() {
            let Ok(checked) = case else {
                continue;
            };
            match self.check(ensemble, checked) {
                Ok(memory) => fitting.push(memory),
                Err(error) => **case = Err(error),
            }
        }
        let alone = fitting.iter().map(alone).max().unwrap_or(0);
        // The previous case is finished and written, the next one is preprocessed, and the one after it read.
        let together = |at: usize| {
            let behind = at.checked_sub(1).map_or(0, |last| fitting[last].finish);
            let ahead = fitting.get(at + 1).map_or(0, |next| next.prepare);
            let after = fitting.get(at + 2).map_or(0, |next| next.images);
            behind
                .saturating_add(fitting[at].segment)
                .saturating_add(ahead)
                .saturating_add(after)
        };
        let overlapping = (0..fitting.len())
            .map(together)
            .max()
            .unwrap_or(0)
            .max(alone);
        let limit = self.limit.map(|(limit, _)| limit);
        let fits = |bytes: u64| limit.is_none_or(|limit| self.base.saturating_add(bytes) <= limit);
        let overlapped = fitting.len() > 1 && fits(overlapping);
        MemoryRecord {
            limit_bytes: limit,
            planned_bytes: self
                .base
                .saturating_add(if overlapped { overlapping } else { alone }),
            overlapped,
        }
    }

    fn check(&self, ensemble: &Ensemble, case: &CheckedCase) -> Result<StageMemory, Error> {
        let memory = ensemble.case_memory(case.grids())?;
        if let Some((limit, networks)) = self.device {
            let case = ensemble.device_memory(case.grids())?;
            let needed = networks.saturating_add(case);
            if needed > limit {
                return Err(MemoryError::DeviceBudget { needed, limit }.into());
            }
        }
        let needed = self
            .base
            .saturating_add(alone(&memory))
            .max(self.base.saturating_add(case.reading_bytes()));
        match self.limit {
            Some(limit) if needed > limit.0 => Err(MemoryError::budget(needed, limit).into()),
            _ => Ok(memory),
        }
    }
}

/// Refuses work without networks that takes this many bytes in addition to what the process holds.
///
/// **Errors**: it exceeds the limit.
pub fn check(bytes: u64, max_ram: Option<u64>) -> Result<(), MemoryError> {
    let resident = peak_memory::current_bytes().unwrap_or(0);
    let needed = resident.saturating_add(MARGIN_BYTES).saturating_add(bytes);
    match limit(max_ram, resident) {
        Some(limit) if needed > limit.0 => Err(MemoryError::budget(needed, limit)),
        _ => Ok(()),
    }
}

/// The limit of a process that already holds `held` bytes.
fn limit(max_ram: Option<u64>, resident: u64) -> Option<(u64, Limit)> {
    let free = HostMemory::read().map(|memory| memory.available.saturating_add(resident));
    smaller(max_ram, free)
}

/// The smaller of the user's limit and the free memory.
fn smaller(set: Option<u64>, free: Option<u64>) -> Option<(u64, Limit)> {
    let set = set.map(|bytes| (bytes, Limit::Set));
    let free = free.map(|bytes| (bytes, Limit::Free));
    set.into_iter().chain(free).min_by_key(|(bytes, _)| *bytes)
}

/// Memory of a case without overlap.
fn alone(memory: &StageMemory) -> u64 {
    memory.prepare.max(memory.segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_no_more_than_what_is_free() {
        assert_eq!(smaller(Some(8), Some(5)), Some((5, Limit::Free)));
        assert_eq!(smaller(Some(4), Some(5)), Some((4, Limit::Set)));
        assert_eq!(smaller(Some(5), Some(5)), Some((5, Limit::Set)));
        assert_eq!(smaller(None, Some(5)), Some((5, Limit::Free)));
        assert_eq!(smaller(Some(8), None), Some((8, Limit::Set)));
        assert_eq!(smaller(None, None), None);
    }
}
