//! Present and peak memory of this process.

/// Peak resident memory in bytes, where the system states it.
///
/// **Source**: proc(5), `VmHWM` of `/proc/self/status`, in KiB.
pub fn bytes() -> Option<u64> {
    status("VmHWM:")
}

/// Resident memory in bytes, where the system states it.
///
/// **Source**: proc(5), `VmRSS` of `/proc/self/status`, in KiB.
pub fn current_bytes() -> Option<u64> {
    status("VmRSS:")
}

fn status(field: &str) -> Option<u64> {
    if cfg!(target_os = "linux") {
        parse(&std::fs::read_to_string("/proc/self/status").ok()?, field)
    } else {
        None
    }
}

fn parse(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        assert_eq!(
            parse(
                "VmPeak:\t  9 kB\nVmHWM:\t   1234 kB\nVmRSS:\t 1 kB\n",
                "VmHWM:"
            ),
            Some(1234 * 1024)
        );
        assert_eq!(parse("VmPeak:\t  9 kB\n", "VmHWM:"), None);
        assert_eq!(parse("VmHWM:\t  some kB\n", "VmHWM:"), None);
    }
}
