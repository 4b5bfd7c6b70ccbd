//! How long this process has been running.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Clock ticks per second in `/proc`; the same on all architectures of Linux.
const TICKS: u64 = 100;

static MAIN: OnceLock<Instant> = OnceLock::new();

/// Records the start of `main`.
pub fn begin() {
    MAIN.get_or_init(Instant::now);
}

/// Time since the process started, to about 20 ms on Linux; elsewhere since `main` began.
///
/// **Source**: proc(5), field 22 of `/proc/self/stat` and `/proc/uptime`.
pub fn age() -> Duration {
    let in_main = MAIN.get().map_or(Duration::ZERO, Instant::elapsed);
    of_system().map_or(in_main, |age| age.max(in_main))
}

fn of_system() -> Option<Duration> {
    let start = start(&std::fs::read_to_string("/proc/self/stat").ok()?)?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime = Duration::try_from_secs_f64(uptime.split(' ').next()?.parse().ok()?).ok()?;
    uptime.checked_sub(start)
}

/// Time from the start of the system to that of a process; the program's name may contain anything, even parentheses.
fn start(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks: u64 = after_name.split_whitespace().nth(19)?.parse().ok()?;
    Some(Duration::from_millis(ticks.checked_mul(1000 / TICKS)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_follows_a_name_of_any_form() {
        let rest: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        let stat = format!("71 (a ) b 9) {}", rest.join(" "));
        assert_eq!(start(&stat), Some(Duration::from_millis(220)));
        assert_eq!(start("71 (a"), None);
    }

    #[test]
    fn a_process_grows_older() {
        begin();
        let first = age();
        std::thread::sleep(Duration::from_millis(30));
        assert!(age() >= first + Duration::from_millis(10));
    }
}
