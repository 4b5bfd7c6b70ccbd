//! Why a run does not fit into memory.

use std::fmt;

use vesal_cli::Exit;

/// Margin in bytes: the memory of a process before its first case varies by less.
const SLACK_BYTES: u64 = 16 << 20;

/// Why a case is not started.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// It needs more memory than the limit.
    #[error("it takes {} of memory, expected at most {} ({source_of_limit})", Size(*needed), Size(*limit))]
    Budget {
        /// Bytes that it needs.
        needed: u64,
        /// Limit in bytes.
        limit: u64,
        /// Whether the user or the machine sets the limit.
        source_of_limit: Limit,
    },
    /// It needs more GPU memory than the limit.
    #[error("it takes {} of the GPU's memory, expected at most {} (`--max-vram`)", Size(*needed), Size(*limit))]
    DeviceBudget {
        /// Bytes that it needs.
        needed: u64,
        /// Limit in bytes.
        limit: u64,
    },
}

/// Source of a memory limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// By `--max-ram`.
    Set,
    /// By the free memory of the machine.
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

/// A number of bytes for messages.
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

impl MemoryError {
    /// The error where more bytes are needed than the smaller limit allows.
    pub(super) fn budget(needed: u64, (limit, source_of_limit): (u64, Limit)) -> Self {
        Self::Budget {
            needed,
            limit,
            source_of_limit,
        }
    }

    /// A remedy for the user.
    pub fn hint(&self) -> String {
        match self {
            Self::Budget { needed, .. } => format!(
                "it fits with `--max-ram {}M`, on a machine that has as much free",
                needed.saturating_add(SLACK_BYTES).div_ceil(1 << 20)
            ),
            Self::DeviceBudget { needed, .. } => format!(
                "it fits with `--max-vram {}M`; `--precision f16` and `--batch 1` need least",
                needed.div_ceil(1 << 20)
            ),
        }
    }

    pub fn exit(&self) -> Exit {
        match self {
            // More may be free later.
            Self::Budget {
                source_of_limit: Limit::Free,
                ..
            } => Exit::Device,
            Self::Budget { .. } | Self::DeviceBudget { .. } => Exit::Input,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
