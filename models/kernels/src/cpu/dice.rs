//! Dice loss plus a loss by voxel.

use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::channels::total;
use super::dense;
use super::dispatch::vectorized;
use super::labels::labels;
use super::lanes::{Lanes, Vectorized};
use super::softmax::{BLOCK, Softmax};
use super::voxel_term::{LabeledBlock, VoxelTerm};
use crate::reference::SMOOTH_DENOMINATOR;
use crate::results::VoxelLoss;

/// Voxels per chunk.
const CHUNK: usize = 32 * BLOCK;

pub fn loss<T: VoxelTerm>(logits: FlexTensor, classes: FlexTensor) -> VoxelLoss<Flex> {
    let [n, x, y, z, k] = dense::shape::<5>(&logits);
    let voxels = x * y * z;
    let labels = labels(classes, [n, x, y, z]);
    let logits = logits.to_contiguous();
    let logits: &[f32] = logits.storage();
    let partial: Vec<Vec<f64>> = (0..n)
        .flat_map(|case| {
            (0..voxels)
                .step_by(CHUNK)
                .map(move |first| case * voxels + first)
        })
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|first| {
            let count = (voxels - first % voxels).min(CHUNK);
            vectorized(Sums {
                logits: &logits[first * k..(first + count) * k],
                labels: &labels[first..first + count],
                term: T::new(k),
            })
        })
        .collect();
    let by_case: Vec<Vec<f64>> = partial
        .chunks(voxels.div_ceil(CHUNK).max(1))
        .map(|partial| total(partial, 3 * k + 1))
        .collect();
    let (mut dice, mut term) = (0.0, 0.0);
    for sums in &by_case {
        for class in 0..k {
            let [overlap, squares, present] = [0, 1, 2].map(|sum| sums[sum * k + class]);
            let numerator = 2.0 * overlap + T::SMOOTH_NUMERATOR;
            dice -= numerator / (squares + present + SMOOTH_DENOMINATOR);
        }
        term += sums[3 * k];
    }
    let loss = 1.0 + dice / (n * k) as f64 + term / T::count(n * voxels, k) as f64;
    let sums = by_case
        .iter()
        .flat_map(|sums| sums[..3 * k].iter().map(|sum| *sum as f32))
        .collect();
    VoxelLoss {
        loss: dense::tensor(vec![loss as f32], [1]),
        sums: dense::tensor(sums, [n, 3, k]),
    }
}

pub fn gradient<T: VoxelTerm>(
    logits: FlexTensor,
    classes: FlexTensor,
    sums: FlexTensor,
    gradient: FlexTensor,
) -> FlexTensor {
    let shape @ [n, x, y, z, k] = dense::shape::<5>(&logits);
    let voxels = x * y * z;
    let labels = labels(classes, [n, x, y, z]);
    let [logits, sums, gradient] = [logits, sums, gradient].map(|tensor| tensor.to_contiguous());
    let logits: &[f32] = logits.storage();
    let factor = f64::from(gradient.storage::<f32>()[0]);
    // d(1 - I / S)/dp = -2 g / S + 2 I p / S².
    let slopes: Vec<Slopes> = sums
        .storage::<f32>()
        .chunks_exact(3 * k)
        .map(|sums| {
            let by_class = |slope: &dyn Fn(f64, f64) -> f64| {
                (0..k)
                    .map(|class| {
                        let [overlap, squares, present] =
                            [0, 1, 2].map(|sum| f64::from(sums[sum * k + class]));
                        let numerator = 2.0 * overlap + T::SMOOTH_NUMERATOR;
                        let inverse = (squares + present + SMOOTH_DENOMINATOR).recip();
                        (slope(numerator, inverse) * factor / (n * k) as f64) as f32
                    })
                    .collect()
            };
            Slopes {
                by_probability: by_class(&|numerator, inverse| 2.0 * numerator * inverse * inverse),
                of_truth: by_class(&|_, inverse| 2.0 * inverse),
                term: (factor / T::count(n * voxels, k) as f64) as f32,
            }
        })
        .collect();
    let mut output = dense::zeros(logits.len());
    let chunks: Vec<_> = output
        .chunks_mut((voxels * k).max(1))
        .zip(logits.chunks((voxels * k).max(1)))
        .zip(labels.chunks(voxels.max(1)))
        .zip(&slopes)
        .flat_map(|(((output, logits), labels), slopes)| {
            let logits = logits.chunks(CHUNK * k);
            let chunks = output
                .chunks_mut(CHUNK * k)
                .zip(logits)
                .zip(labels.chunks(CHUNK));
            chunks.map(move |((output, logits), labels)| (logits, labels, slopes, output))
        })
        .collect();
    chunks
        .into_par_iter()
        .for_each(|(logits, labels, slopes, output)| {
            vectorized(Gradient {
                logits,
                labels,
                slopes,
                output,
                term: T::new(k),
            });
        });
    dense::tensor(output, shape)
}

/// `Σ p g`, `Σ p²` and `Σ g` per class over some voxels, then the sum of their losses by voxel.
struct Sums<'a, T> {
    logits: &'a [f32],
    labels: &'a [i32],
    term: T,
}

impl<T: VoxelTerm> Vectorized for Sums<'_, T> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<L: Lanes>(mut self) -> Vec<f64> {
        let k = self.term.classes();
        let mut softmax = Softmax::new(k);
        let mut sums = vec![0.0; 3 * k + 1];
        let blocks = self.logits.chunks(BLOCK * k).zip(self.labels.chunks(BLOCK));
        for (logits, labels) in blocks {
            softmax.compute(logits);
            let block = LabeledBlock { logits, labels };
            sums[3 * k] += self.term.sum(block, &softmax);
            for (v, &label) in labels.iter().enumerate() {
                if let Ok(class) = usize::try_from(label)
                    && class < k
                {
                    sums[class] += f64::from(softmax.probabilities[class][v]);
                    sums[2 * k + class] += 1.0;
                }
            }
            for (sum, probabilities) in sums[k..2 * k].iter_mut().zip(&softmax.probabilities) {
                let mut squares = [0.0; 8];
                for p in probabilities.as_chunks::<8>().0 {
                    for lane in 0..8 {
                        squares[lane] += p[lane] * p[lane];
                    }
                }
                *sum += f64::from(squares.iter().sum::<f32>());
            }
        }
        sums
    }
}

/// Derivatives of the loss, times the gradient with respect to the loss.
struct Slopes {
    /// By class: the derivative of the Dice loss with respect to a probability is this times the probability ...
    by_probability: Vec<f32>,
    /// ... minus this where the class is the true one.
    of_truth: Vec<f32>,
    /// Factor on the derivatives of the losses by voxel.
    term: f32,
}

struct Gradient<'a, T> {
    logits: &'a [f32],
    labels: &'a [i32],
    slopes: &'a Slopes,
    output: &'a mut [f32],
    term: T,
}

impl<T: VoxelTerm> Vectorized for Gradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        let Slopes {
            by_probability,
            of_truth,
            term: factor,
        } = self.slopes;
        let k = by_probability.len();
        let mut softmax = Softmax::new(k);
        let blocks = self.logits.chunks(BLOCK * k).zip(self.labels.chunks(BLOCK));
        for ((logits, labels), output) in blocks.zip(self.output.chunks_mut(BLOCK * k)) {
            softmax.compute(logits);
            let mut truth = [-1; BLOCK];
            truth[..labels.len()].copy_from_slice(labels);
            self.term.slopes(
                LabeledBlock {
                    logits,
                    labels: &truth,
                },
                &softmax,
            );
            // The gradient through the softmax is p (s - Σ s p) for slopes s.
            let mut mean = [0.0; BLOCK];
            for (class, p) in softmax.probabilities.iter().enumerate() {
                for v in 0..BLOCK {
                    let hit = if truth[v] == class as i32 {
                        of_truth[class]
                    } else {
                        0.0
                    };
                    mean[v] += (by_probability[class] * p[v] - hit) * p[v];
                }
            }
            for (class, p) in softmax.probabilities.iter_mut().enumerate() {
                for v in 0..BLOCK {
                    let is = truth[v] == class as i32;
                    let hit = if is { of_truth[class] } else { 0.0 };
                    let slope = by_probability[class] * p[v] - hit;
                    let of_term = self.term.slope(class, v, p[v], is);
                    p[v] = p[v] * (slope - mean[v]) + of_term * factor;
                }
            }
            for (v, output) in output.chunks_exact_mut(k).enumerate() {
                for (output, gradient) in output.iter_mut().zip(&softmax.probabilities) {
                    *output = gradient[v];
                }
            }
        }
    }
}
