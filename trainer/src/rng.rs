//! Random numbers of training.

use std::f64::consts::TAU;

/// A generator of reproducible random numbers: the same key gives the same sequence on every machine.
///
/// **Source**: splitmix64, Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator for this key, any sequence of numbers such as seed, fold, epoch and step.
    pub fn new(key: &[u64]) -> Self {
        let mut state = 0;
        for &part in key {
            state = mix(state ^ part).wrapping_add(GOLDEN);
        }
        Self { state }
    }

    /// A generator with this seed in its published form.
    pub fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A uniform number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A uniform number in `[low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A uniform index below `length`; 0 where `length` is 0.
    pub fn below(&mut self, length: usize) -> usize {
        ((u128::from(self.bits()) * length as u128) >> 64) as usize
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Two independent numbers of the standard normal distribution (Box and Muller 1958).
    pub fn normal_pair(&mut self) -> [f64; 2] {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let (sin, cos) = (TAU * self.unit()).sin_cos();
        [radius * cos, radius * sin]
    }

    pub fn shuffle<T>(&mut self, elements: &mut [T]) {
        for last in (1..elements.len()).rev() {
            elements.swap(last, self.below(last + 1));
        }
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_published_sequence() {
        let mut rng = Rng::seeded(1_234_567);
        assert_eq!(rng.bits(), 6_457_827_717_110_365_317);
        assert_eq!(rng.bits(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn keys_give_sequences_of_their_own() {
        let first = |key: &[u64]| Rng::new(key).bits();
        assert_eq!(first(&[1, 2, 3]), first(&[1, 2, 3]));
        let keys: [&[u64]; 6] = [&[], &[0], &[0, 0], &[1, 2], &[2, 1], &[1, 2, 0]];
        let mut values: Vec<_> = keys.into_iter().map(first).collect();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), keys.len());
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut rng = Rng::new(&[7]);
        let n = 40_000;
        let uniform: Vec<f64> = (0..n).map(|_| rng.uniform(-1.0, 3.0)).collect();
        let normal: Vec<f64> = (0..n / 2).flat_map(|_| rng.normal_pair()).collect();
        let moments = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / n as f64;
            (
                mean,
                values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64,
            )
        };
        let ((mean, variance), (normal_mean, normal_variance)) =
            (moments(&uniform), moments(&normal));
        assert!(
            (mean - 1.0).abs() < 0.03 && (variance - 16.0 / 12.0).abs() < 0.03,
            "{mean} {variance}"
        );
        assert!(
            normal_mean.abs() < 0.03 && (normal_variance - 1.0).abs() < 0.03,
            "{normal_mean} {normal_variance}"
        );
        assert!(uniform.iter().all(|value| (-1.0..3.0).contains(value)));
    }

    #[test]
    fn indices_cover_their_range_evenly() {
        let mut rng = Rng::new(&[3]);
        let mut counts = [0; 7];
        (0..70_000).for_each(|_| counts[rng.below(7)] += 1);
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn a_shuffle_keeps_the_elements() {
        let mut order: Vec<usize> = (0..50).collect();
        Rng::new(&[5]).shuffle(&mut order);
        assert_ne!(order, (0..50).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
