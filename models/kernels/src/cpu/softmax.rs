//! Softmax of a block of voxels at a time.

use super::exponential::exponential;

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
