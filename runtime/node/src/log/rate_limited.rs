//! Rate-limited warnings, for events that peers can cause at will.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::log;

/// Period over which lines are counted.
const PERIOD: Duration = Duration::from_secs(60);

/// Most lines about one address in a period.
const LINES: u64 = 5;

/// Most addresses that are counted separately in a period.
const ADDRESSES: usize = 32;

/// Warnings about addresses: the first few about each are written, the others are counted and summed up in one line.
#[derive(Debug, Default)]
pub struct RateLimitedLog(Mutex<Period>);

#[derive(Debug, Default)]
struct Period {
    since: Option<Instant>,
    /// Lines by address; `None` for all addresses that are not counted separately.
    lines: BTreeMap<Option<IpAddr>, u64>,
}

impl RateLimitedLog {
    /// Writes a warning about an address, or counts it.
    pub fn warning(&self, about: IpAddr, what: impl fmt::Display) {
        if self.admits(about, Instant::now()) {
            log::warning(what);
        }
    }

    /// Sums up the lines that were left out, when their period is over. To be called periodically.
    pub fn sum_up(&self) {
        for line in self.left_out(Instant::now()) {
            log::warning(line);
        }
    }

    fn admits(&self, about: IpAddr, now: Instant) -> bool {
        let mut period = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        period.since.get_or_insert(now);
        let is_told_apart =
            period.lines.len() < ADDRESSES || period.lines.contains_key(&Some(about));
        let lines = period
            .lines
            .entry(is_told_apart.then_some(about))
            .or_default();
        *lines += 1;
        *lines <= LINES
    }

    fn left_out(&self, now: Instant) -> Vec<String> {
        let mut period = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if period.since.is_none_or(|since| now - since < PERIOD) {
            return Vec::new();
        }
        let lines = std::mem::take(&mut *period).lines;
        let seconds = PERIOD.as_secs();
        lines
            .into_iter()
            .filter(|(_, lines)| *lines > LINES)
            .map(|(about, lines)| {
                let more = lines - LINES;
                match about {
                    Some(address) => format!(
                        "connections from {address}: {more} more lines like these were left out within {seconds} s"
                    ),
                    None => format!(
                        "connections from other addresses: {more} more lines like these were left out within {seconds} s"
                    ),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_costs_a_few_lines_and_is_counted() {
        let often = RateLimitedLog::default();
        let now = Instant::now();
        let address = |last: u16| IpAddr::from([10, 0, (last >> 8) as u8, last as u8]);
        let written = (0..1000).filter(|_| often.admits(address(1), now)).count();
        assert_eq!(written as u64, LINES);
        // One more of another is seen, and many others do not cost more either.
        assert!(often.admits(address(2), now));
        let written = (3..2000)
            .filter(|last| often.admits(address(*last), now))
            .count();
        assert!(written as u64 <= ADDRESSES as u64 + LINES, "{written}");
        assert!(often.left_out(now).is_empty());
        let left_out = often.left_out(now + PERIOD);
        assert_eq!(left_out.len(), 2, "{left_out:?}");
        assert!(
            left_out[1].contains("10.0.0.1: 995 more lines"),
            "{left_out:?}"
        );
        // A new period begins.
        assert!(often.admits(address(1), now + PERIOD));
        assert!(often.left_out(now + PERIOD).is_empty());
    }
}
