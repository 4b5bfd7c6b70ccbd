//! Cost of work, and its limits: for n bytes, 64 MiB plus 16 n of memory, and 2 s plus 2 s per MiB on one core.

use std::fs;

const MIB: u64 = 1 << 20;

/// A figure of the process in bytes; zero where the system does not state it.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}

/// Seconds that all threads of the process have computed; zero where the system does not state it.
fn computed() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in parentheses, may hold anything.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// Cost of some work.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Most memory at once beyond what was taken before, in bytes; zero where that cannot be measured.
    pub memory: u64,
    /// Seconds of one core.
    pub seconds: f64,
}

/// Measures some work. Memory that was freed before counts as in use, so a new process measures more precisely.
pub fn cost<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    // 5 sets the highest resident size to the current one.
    let measured = fs::write("/proc/self/clear_refs", "5").is_ok();
    let (before, start) = (status("VmRSS"), computed());
    let result = work();
    let seconds = computed() - start;
    let memory = if measured {
        status("VmHWM").saturating_sub(before)
    } else {
        0
    };
    (result, Cost { memory, seconds })
}

/// By how much files of this many bytes exceed the bounds; nothing where they keep them.
pub fn excess(bytes: u64, cost: Cost) -> Vec<String> {
    let memory = 64 * MIB + 16 * bytes;
    let seconds = 2.0 + 2.0 * bytes as f64 / MIB as f64;
    let mut excess = Vec::new();
    if cost.memory > memory {
        let found = cost.memory;
        excess.push(format!(
            "{bytes} bytes take {found} of memory, at most {memory} are allowed"
        ));
    }
    if cost.seconds > seconds {
        let found = cost.seconds;
        excess.push(format!(
            "{bytes} bytes take {found} s, at most {seconds} are allowed"
        ));
    }
    excess
}
