//! The input of a probe, generated from a seed.

use serde::{Deserialize, Serialize};

/// Generator of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputGenerator {
    /// See [`ProbeInput::values`].
    #[serde(rename = "splitmix64_blocks")]
    SplitMix64Blocks,
}

/// One window, already preprocessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeInput {
    /// Generator.
    pub generator: InputGenerator,
    /// Seed; 32 bits, which every JSON reader represents exactly.
    pub seed: u32,
    /// `[1, C, X, Y, Z]`.
    pub shape: [usize; 5],
}

/// Side in voxels of the blocks that share their coarse value.
const BLOCK_SIDE: usize = 8;

impl ProbeInput {
    /// Describes an input of one window.
    pub fn new(seed: u32, channels: usize, window: [usize; 3]) -> Self {
        let [x, y, z] = window;
        Self {
            generator: InputGenerator::SplitMix64Blocks,
            seed,
            shape: [1, channels, x, y, z],
        }
    }

    /// Makes the input.
    ///
    /// Noise on two scales, because a network averages white noise away and answers background everywhere.
    ///
    /// **Shapes and units**: `[1, C, X, Y, Z]` in C order, values in `[-2, 2)`.
    ///
    /// **Definition**: with `n = C·X·Y·Z` and `u(k)` the k-th output (from 0) of splitmix64 seeded with `seed`,
    /// shifted right by 40 bits, times 2⁻²³, minus 1, the value at flat index `i` is `u(n + b) + u(i)`, where
    /// `b` is the flat index, in `[C, ⌈X/8⌉, ⌈Y/8⌉, ⌈Z/8⌉]`, of the block of 8³ voxels around it. All in `f32`.
    ///
    /// **Source**: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", figure 12 with the
    /// constants of Stafford's mix 13.
    pub fn values(&self) -> Vec<f32> {
        let [_, channels, x, y, z] = self.shape;
        let count = channels * x * y * z;
        let blocks = [x, y, z].map(|side| side.div_ceil(BLOCK_SIDE));
        let seed = u64::from(self.seed);
        let mut values = Vec::with_capacity(count);
        for channel in 0..channels {
            for i in 0..x {
                for j in 0..y {
                    let row = (channel * blocks[0] + i / BLOCK_SIDE) * blocks[1] + j / BLOCK_SIDE;
                    for k in 0..z {
                        let block = row * blocks[2] + k / BLOCK_SIDE;
                        let fine = symmetric(splitmix64(seed, values.len() as u64));
                        let coarse = symmetric(splitmix64(seed, (count + block) as u64));
                        values.push(coarse + fine);
                    }
                }
            }
        }
        values
    }
}

/// The `index`-th output of the generator, from 0: its state is a counter, so any output can be computed directly.
fn splitmix64(seed: u64, index: u64) -> u64 {
    let mut state = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// 24 random bits as a float in `[-1, 1)`, exactly.
fn symmetric(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1 << 23) as f32 - 1.
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_gives_its_published_sequence() {
        let outputs: Vec<u64> = (0..3).map(|index| splitmix64(1_234_567, index)).collect();
        assert_eq!(
            outputs,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn voxels_of_a_block_lie_together_and_blocks_differ() {
        let values = ProbeInput::new(7, 2, [9, 4, 8]).values();
        assert_eq!(values.len(), 2 * 9 * 4 * 8);
        assert!(values.iter().all(|value| (-2. ..2.).contains(value)));
        let block = &values[..8 * 4 * 8];
        let spread = block.iter().fold(f32::MIN, |max, &value| max.max(value))
            - block.iter().fold(f32::MAX, |min, &value| min.min(value));
        assert!(spread <= 2., "{spread}");
        assert_ne!(values, ProbeInput::new(8, 2, [9, 4, 8]).values());
    }
}
