//! Checks of single values. An error names the key of the setting and the rule that its value breaks.

use std::time::Duration;

use crate::config::error::ValueFault;

pub(super) type SettingResult<T> = Result<T, (String, ValueFault)>;

pub(super) fn ae_title(key: &str, text: &str) -> SettingResult<String> {
    let trimmed = text.trim_matches(' ');
    let fits = (1..=16).contains(&trimmed.len())
        && trimmed
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\');
    if fits {
        Ok(trimmed.to_owned())
    } else {
        let found = text.to_owned();
        Err((key.to_owned(), ValueFault::AeTitle { found }))
    }
}

pub(super) fn count(key: &str, number: usize) -> SettingResult<usize> {
    count_up_to(key, number, 1000, "1 to 1000")
}

pub(super) fn count_up_to(
    key: &str,
    number: usize,
    most: usize,
    expected: &'static str,
) -> SettingResult<usize> {
    if (1..=most).contains(&number) {
        Ok(number)
    } else {
        let fault = ValueFault::Number {
            found: number as f64,
            expected,
        };
        Err((key.to_owned(), fault))
    }
}

pub(super) fn mebibytes(key: &str, mib: u64) -> SettingResult<u64> {
    match mib.checked_mul(1 << 20) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => {
            let fault = ValueFault::Number {
                found: mib as f64,
                expected: "1 or more",
            };
            Err((key.to_owned(), fault))
        }
    }
}

/// The longest time that a setting can hold, in seconds: ten years.
const LONGEST: f64 = 3650.0 * 86_400.0;

/// A time that may be zero.
pub(super) fn pause(key: &str, number: f64) -> SettingResult<Duration> {
    duration(key, number, 1.0, "seconds", 0.0)
}

pub(super) fn seconds(key: &str, number: f64) -> SettingResult<Duration> {
    time(key, number, 1.0, "seconds")
}

/// A time of at least a tenth of a second.
pub(super) fn time(
    key: &str,
    number: f64,
    seconds: f64,
    unit: &'static str,
) -> SettingResult<Duration> {
    duration(key, number, seconds, unit, 0.1)
}

/// A time in units of `unit` seconds, of at least `least` seconds.
pub(super) fn duration(
    key: &str,
    number: f64,
    seconds: f64,
    unit: &'static str,
    least: f64,
) -> SettingResult<Duration> {
    if (least..=LONGEST).contains(&(number * seconds)) {
        Ok(Duration::from_secs_f64(number * seconds))
    } else {
        let fault = ValueFault::Time {
            found: number,
            least: least / seconds,
            most: LONGEST / seconds,
            unit,
        };
        Err((key.to_owned(), fault))
    }
}
