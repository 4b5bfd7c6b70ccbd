//! Pauses between attempts.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A pause that doubles with every failed attempt, with a random deviation of up to a quarter, so that jobs do not all
/// return at once.
pub fn pause(first: Duration, failed: u32, longest: Duration) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failed.min(20)));
    let random = RandomState::new().build_hasher().finish() % 512;
    let pause = doubled.min(longest).min(Duration::from_secs(86_400));
    pause.mul_f64(0.75 + random as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (first, longest) = (Duration::from_secs(10), Duration::from_secs(60));
        for (failed, expected) in [(0, 10.0), (1, 20.0), (2, 40.0), (3, 60.0), (4000, 60.0)] {
            let seconds = pause(first, failed, longest).as_secs_f64();
            assert!(
                (0.75 * expected..=1.25 * expected).contains(&seconds),
                "{failed}: {seconds}"
            );
        }
        assert!(pause(Duration::MAX, 9, Duration::MAX) < Duration::from_secs(200_000));
    }
}
