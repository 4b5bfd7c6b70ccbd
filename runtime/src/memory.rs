//! Memory that a run may take, and whether it suffices: settled from headers before any work.

use std::fmt;

use serde::Serialize;
use vesal_cli::host_memory::HostMemory;
use vesal_cli::{Exit, Failure};
use vesal_engine::{CaseMemory, Ensemble};

use crate::case::Checked;
use crate::failure;
use crate::peak_memory;

/// What one thread and another hold for a moment: blocks of files on their way, buffers of the allocator.
const MARGIN_BYTES: u64 = 64 << 20;

/// What a process takes before its first case differs by less from run to run.
const SLACK_BYTES: u64 = 16 << 20;

/// Why a case is not begun.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// It takes more than there may be.
    #[error("it takes {} of memory, expected at most {} ({source_of_limit})", Size(*needed), Size(*limit))]
    Budget {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that it may take.
        limit: u64,
        /// Who says so.
        source_of_limit: Limit,
    },
    /// It takes more of a GPU than it may.
    #[error("it takes {} of the GPU's memory, expected at most {} (`--max-vram`)", Size(*needed), Size(*limit))]
    DeviceBudget {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that it may take.
        limit: u64,
    },
}

/// Who limits memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The user.
    Set,
    /// The machine: more is not free.
    Free,
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Set => "`--max-ram`",
            Self::Free => "what is free",
        })
    }
}

/// A number of bytes as people read it.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.0 as f64 / f64::from(1 << 20);
        if mib < 1024.0 {
            write!(formatter, "{:.0} MiB", mib.ceil())
        } else {
            write!(formatter, "{:.2} GiB", mib / 1024.0)
        }
    }
}

/// Memory of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MemoryRecord {
    /// Most bytes that were allowed, if anything limited them.
    pub limit_bytes: Option<u64>,
    /// Most bytes that the cases that are run take by their headers.
    pub planned_bytes: u64,
    /// Whether the next case was read and the last one written while one was segmented.
    pub overlapped: bool,
}

/// What a run may take and what it has taken before its first case.
#[derive(Debug, Clone, Copy)]
pub struct MemoryPlan {
    limit: Option<(u64, Limit)>,
    /// The process and its networks.
    base: u64,
    /// Most bytes of the GPU, and what the networks take of it.
    device: Option<(u64, u64)>,
}

impl MemoryPlan {
    /// Looks at a process whose networks are loaded.
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

    /// Refuses cases that take too much even alone, and decides whether cases may overlap.
    pub fn settle(
        &self,
        ensemble: &Ensemble,
        cases: &mut [&mut Result<Checked, Failure>],
    ) -> MemoryRecord {
        let mut fitting = Vec::new();
        for case in cases.iter_mut() {
            let Ok(checked) = case else {
                continue;
            };
            match self.check(ensemble, checked) {
                Ok(memory) => fitting.push(memory),
                Err(failure) => **case = Err(failure),
            }
        }
        let alone = fitting.iter().map(alone).max().unwrap_or(0);
        // The case behind is finished and written, the one ahead is prepared, and the one after it read.
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

    fn check(&self, ensemble: &Ensemble, case: &Checked) -> Result<CaseMemory, Failure> {
        let memory = ensemble
            .case_memory(case.grids())
            .map_err(failure::engine)?;
        if let Some((limit, networks)) = self.device {
            let case = ensemble
                .device_memory(case.grids())
                .map_err(failure::engine)?;
            let needed = networks.saturating_add(case);
            if needed > limit {
                let remedy = format!(
                    "it fits with `--max-vram {}M`; `--precision f16` and `--batch 1` need least",
                    needed.div_ceil(1 << 20)
                );
                let error = MemoryError::DeviceBudget { needed, limit };
                return Err(Failure::new(Exit::Input, error).hint(Some(remedy)));
            }
        }
        let needed = self
            .base
            .saturating_add(alone(&memory))
            .max(self.base.saturating_add(case.reading_bytes()));
        match self.limit {
            Some(limit) if needed > limit.0 => Err(exceeded(needed, limit)),
            _ => Ok(memory),
        }
    }
}

/// Refuses work without networks that takes so many bytes beside what the process holds already.
///
/// **Errors**: it is more than there may be.
pub fn check(bytes: u64, max_ram: Option<u64>) -> Result<(), Failure> {
    let resident = peak_memory::current_bytes().unwrap_or(0);
    let needed = resident.saturating_add(MARGIN_BYTES).saturating_add(bytes);
    match limit(max_ram, resident) {
        Some(limit) if needed > limit.0 => Err(exceeded(needed, limit)),
        _ => Ok(()),
    }
}

/// The most that a process may hold that holds so much already.
fn limit(max_ram: Option<u64>, resident: u64) -> Option<(u64, Limit)> {
    let free = HostMemory::read().map(|memory| memory.available.saturating_add(resident));
    smaller(max_ram, free)
}

/// The smaller of what is allowed and what there is: to be allowed more does not make it free.
fn smaller(set: Option<u64>, free: Option<u64>) -> Option<(u64, Limit)> {
    let set = set.map(|bytes| (bytes, Limit::Set));
    let free = free.map(|bytes| (bytes, Limit::Free));
    set.into_iter().chain(free).min_by_key(|(bytes, _)| *bytes)
}

fn exceeded(needed: u64, (limit, source_of_limit): (u64, Limit)) -> Failure {
    let error = MemoryError::Budget {
        needed,
        limit,
        source_of_limit,
    };
    let remedy = format!(
        "it fits with `--max-ram {}M`, on a machine that has as much free",
        needed.saturating_add(SLACK_BYTES).div_ceil(1 << 20)
    );
    let exit = match source_of_limit {
        Limit::Set => Exit::Input,
        // Later there may be more.
        Limit::Free => Exit::Device,
    };
    Failure::new(exit, error).hint(Some(remedy))
}

/// What a case takes that nothing overlaps.
fn alone(memory: &CaseMemory) -> u64 {
    memory.prepare.max(memory.segment)
}

/// Reads a size: a number with `K`, `M`, `G` or `T` (powers of 1024), or bytes.
pub fn parse_size(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str = "expected a size such as 1500M or 4G";
    let text = text
        .trim()
        .trim_end_matches(['B', 'b'])
        .trim_end_matches('i');
    let (number, shift) = match text.char_indices().last() {
        Some((end, unit)) if unit.is_ascii_alphabetic() => {
            let shift = match unit.to_ascii_uppercase() {
                'K' => 10,
                'M' => 20,
                'G' => 30,
                'T' => 40,
                _ => return Err(EXPECTED),
            };
            (&text[..end], shift)
        }
        _ => (text, 0),
    };
    let number: f64 = number.trim().parse().map_err(|_| EXPECTED)?;
    let bytes = number * (1_u64 << shift) as f64;
    if bytes.is_finite() && bytes >= 1.0 && bytes < u64::MAX as f64 {
        Ok(bytes as u64)
    } else {
        Err(EXPECTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size("4G"), Ok(4 << 30));
        assert_eq!(parse_size("1.5 GiB"), Ok(3 << 29));
        assert_eq!(parse_size("1500m"), Ok(1500 << 20));
        assert_eq!(parse_size("12345"), Ok(12345));
        for text in ["", "G", "-1G", "0", "4X", "nan", "inf"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_allowed_is_no_more_than_what_is_free() {
        assert_eq!(smaller(Some(8), Some(5)), Some((5, Limit::Free)));
        assert_eq!(smaller(Some(4), Some(5)), Some((4, Limit::Set)));
        assert_eq!(smaller(Some(5), Some(5)), Some((5, Limit::Set)));
        assert_eq!(smaller(None, Some(5)), Some((5, Limit::Free)));
        assert_eq!(smaller(Some(8), None), Some((8, Limit::Set)));
        assert_eq!(smaller(None, None), None);
    }

    #[test]
    fn messages_say_what_is_needed_and_what_there_is() {
        let error = MemoryError::Budget {
            needed: 5 << 29,
            limit: 1 << 30,
            source_of_limit: Limit::Set,
        };
        assert_eq!(
            error.to_string(),
            "it takes 2.50 GiB of memory, expected at most 1.00 GiB (`--max-ram`)"
        );
        assert_eq!(Size(1).to_string(), "1 MiB");
    }
}
