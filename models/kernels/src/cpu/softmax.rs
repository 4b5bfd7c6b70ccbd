//! Softmax of a block of voxels at a time.

/// Voxels per block.
pub const BLOCK: usize = 64;

/// Buffers of one block, voxels innermost.
pub struct Softmax {
    /// `[classes, voxels]`; zero beyond the voxels given.
    pub probabilities: Vec<[f32; BLOCK]>,
    pub largest: [f32; BLOCK],
    /// Sum of the exponentials of logits less the largest.
    pub exponentials: [f32; BLOCK],
}

impl Softmax {
    pub fn new(classes: usize) -> Self {
        Self {
            probabilities: vec![[0.0; BLOCK]; classes],
            largest: [0.0; BLOCK],
            exponentials: [0.0; BLOCK],
        }
    }

    /// Of `logits` `[voxels, classes]`.
    #[inline(always)]
    pub fn compute(&mut self, logits: &[f32]) {
        let classes = self.probabilities.len();
        let voxels = logits.len() / classes.max(1);
        for (v, logits) in logits.chunks_exact(classes).enumerate() {
            for (to, logit) in self.probabilities.iter_mut().zip(logits) {
                to[v] = *logit;
            }
        }
        let mut largest = [f32::NEG_INFINITY; BLOCK];
        for logits in &self.probabilities {
            for v in 0..BLOCK {
                largest[v] = if logits[v] > largest[v] {
                    logits[v]
                } else {
                    largest[v]
                };
            }
        }
        let mut sums = [0.0; BLOCK];
        for values in &mut self.probabilities {
            for v in 0..BLOCK {
                values[v] = exponential(values[v] - largest[v]);
                sums[v] += values[v];
            }
        }
        for values in &mut self.probabilities {
            for v in 0..BLOCK {
                values[v] /= sums[v];
            }
            values[voxels..].fill(0.0);
        }
        self.largest = largest;
        self.exponentials = sums;
    }
}

/// `eˣ` for `x ≤ 0` to two units in the last place, without branches; NaN stays NaN.
///
/// **Source**: the polynomial of Cephes' `expf`.
#[inline(always)]
pub fn exponential(x: f32) -> f32 {
    /// Adding it rounds to a whole number, kept in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    // The logarithm of 2 in two parts, the first short enough for an exact product.
    let r = x - whole * 0.693_359_4 - whole * -2.121_944_4e-4;
    let mut series = 1.987_569_1e-4;
    for coefficient in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        series = series * r + coefficient;
    }
    let power = f32::from_bits(
        rounded
            .to_bits()
            .wrapping_sub(ROUND.to_bits())
            .wrapping_add(127)
            << 23,
    );
    (series * r * r + r + 1.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_the_librarys() {
        for i in 0..8600 {
            let x = -0.01 * i as f32;
            let expected = x.exp();
            assert!((exponential(x) - expected).abs() <= 3e-7 * expected, "{x}");
        }
        assert_eq!(exponential(0.0), 1.0);
        assert!(exponential(f32::NEG_INFINITY) < 1e-37);
        assert!(exponential(f32::NAN).is_nan());
    }
}
