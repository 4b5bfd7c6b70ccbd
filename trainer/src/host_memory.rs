//! How much memory this machine has to spare.

use std::fs;

/// Memory that is free for this process in bytes, as far as the system tells.
///
/// **Definition**: the smallest of what the kernel could give without swapping and of what is left under the limits
/// of the control groups that a container sees (versions 1 and 2).
///
/// **Source**: proc(5) `MemAvailable`; Linux's admin guide, `memory.max` (v2), `memory.limit_in_bytes` (v1).
pub fn available_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| mem_available(&text));
    let groups = [
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ];
    let left = groups
        .into_iter()
        .filter_map(|(limit, used)| Some(number(limit)?.saturating_sub(number(used)?)));
    machine.into_iter().chain(left).min()
}

fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The number in a file; `max` is none.
fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes() {
        let text = "MemTotal:       9 kB\nMemAvailable:    1234 kB\n";
        assert_eq!(mem_available(text), Some(1234 * 1024));
        assert_eq!(mem_available("MemTotal: 9 kB\n"), None);
        if cfg!(target_os = "linux") {
            assert!(available_bytes().is_some_and(|bytes| bytes > 0));
        }
    }
}
