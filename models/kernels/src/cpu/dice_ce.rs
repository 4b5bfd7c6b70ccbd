//! Dice loss plus cross entropy.

use burn::tensor::DType;
use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::channels::total;
use super::dense;
use super::dispatch::vectorized;
use super::lanes::{Lanes, Vectorized};
use super::softmax::{BLOCK, Softmax};
use crate::reference::SMOOTH_DENOMINATOR;
use crate::results::DiceCe;

/// Voxels per chunk.
const CHUNK: usize = 32 * BLOCK;

pub fn dice_ce(logits: FlexTensor, classes: FlexTensor) -> DiceCe<Flex> {
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
                classes: k,
            })
        })
        .collect();
    let by_case: Vec<Vec<f64>> = partial
        .chunks(voxels.div_ceil(CHUNK).max(1))
        .map(|partial| total(partial, 3 * k + 1))
        .collect();
    let (mut dice, mut entropy) = (0.0, 0.0);
    for sums in &by_case {
        for class in 0..k {
            let [overlap, squares, present] = [0, 1, 2].map(|sum| sums[sum * k + class]);
            dice -= 2.0 * overlap / (squares + present + SMOOTH_DENOMINATOR);
        }
        entropy += sums[3 * k];
    }
    let loss = 1.0 + dice / (n * k) as f64 + entropy / (n * voxels) as f64;
    let sums = by_case
        .iter()
        .flat_map(|sums| sums[..3 * k].iter().map(|sum| *sum as f32))
        .collect();
    DiceCe {
        loss: dense::tensor(vec![loss as f32], [1]),
        sums: dense::tensor(sums, [n, 3, k]),
    }
}

pub fn dice_ce_gradient(
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
    // d(1 - 2 I / S)/dp = -2 g / S + 4 I p / S².
    let slopes: Vec<Slopes> = sums
        .storage::<f32>()
        .chunks_exact(3 * k)
        .map(|sums| {
            let by_class = |slope: &dyn Fn(f64, f64) -> f64| {
                (0..k)
                    .map(|class| {
                        let [overlap, squares, present] =
                            [0, 1, 2].map(|sum| f64::from(sums[sum * k + class]));
                        let inverse = (squares + present + SMOOTH_DENOMINATOR).recip();
                        (slope(overlap, inverse) * factor / (n * k) as f64) as f32
                    })
                    .collect()
            };
            Slopes {
                by_probability: by_class(&|overlap, inverse| 4.0 * overlap * inverse * inverse),
                of_truth: by_class(&|_, inverse| 2.0 * inverse),
                entropy: (factor / (n * voxels) as f64) as f32,
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
            chunks.map(move |((output, logits), labels)| Gradient {
                logits,
                labels,
                slopes,
                output,
            })
        })
        .collect();
    chunks.into_par_iter().for_each(vectorized);
    dense::tensor(output, shape)
}

/// The class of each voxel of a grid that may be coarser than the classes'; -1 where an `i32` cannot hold it.
fn labels(classes: FlexTensor, shape: [usize; 4]) -> Vec<i32> {
    let fine = dense::shape::<4>(&classes);
    let classes = classes.to_contiguous();
    macro_rules! by_type {
        ($($dtype:ident => $element:ty),*) => {
            match classes.dtype() {
                $(DType::$dtype => {
                    let values: &[$element] = classes.storage();
                    picked(fine, shape, |at| i32::try_from(values[at]).unwrap_or(-1))
                })*
                other => panic!("class indices of type {other:?}"),
            }
        };
    }
    by_type!(
        I64 => i64, I32 => i32, I16 => i16, I8 => i8, U64 => u64, U32 => u32, U16 => u16, U8 => u8
    )
}

/// The values at the centers of coarse voxels.
fn picked(
    fine: [usize; 4],
    [n, size_x, size_y, size_z]: [usize; 4],
    value: impl Fn(usize) -> i32 + Sync,
) -> Vec<i32> {
    let [_, fine_x, fine_y, fine_z] = fine;
    let source = |i: usize, length: usize, wanted: usize| (2 * i + 1) * length / (2 * wanted);
    let columns: Vec<usize> = (0..size_z).map(|z| source(z, fine_z, size_z)).collect();
    let mut picked = vec![-1; n * size_x * size_y * size_z];
    picked
        .par_chunks_mut((size_y * size_z).max(1))
        .enumerate()
        .for_each(|(plane, picked)| {
            let (case, x) = (plane / size_x, plane % size_x);
            let plane = case * fine_x + source(x, fine_x, size_x);
            for (y, picked) in picked.chunks_mut(size_z.max(1)).enumerate() {
                let row = (plane * fine_y + source(y, fine_y, size_y)) * fine_z;
                for (picked, column) in picked.iter_mut().zip(&columns) {
                    *picked = value(row + column);
                }
            }
        });
    picked
}

/// `Σ p g`, `Σ p²` and `Σ g` per class over some voxels, then the sum of their cross entropies.
struct Sums<'a> {
    logits: &'a [f32],
    labels: &'a [i32],
    classes: usize,
}

impl Vectorized for Sums<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<L: Lanes>(self) -> Vec<f64> {
        let k = self.classes;
        let mut softmax = Softmax::new(k);
        let mut sums = vec![0.0; 3 * k + 1];
        let blocks = self.logits.chunks(BLOCK * k).zip(self.labels.chunks(BLOCK));
        for (logits, labels) in blocks {
            softmax.compute(logits);
            for (v, &label) in labels.iter().enumerate() {
                let mut entropy = softmax.exponentials[v].ln();
                if let Ok(class) = usize::try_from(label)
                    && class < k
                {
                    entropy -= logits[v * k + class] - softmax.largest[v];
                    sums[class] += f64::from(softmax.probabilities[class][v]);
                    sums[2 * k + class] += 1.0;
                }
                sums[3 * k] += f64::from(entropy);
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
    /// The derivative of the cross entropy with respect to a logit is this times (probability - truth).
    entropy: f32,
}

struct Gradient<'a> {
    logits: &'a [f32],
    labels: &'a [i32],
    slopes: &'a Slopes,
    output: &'a mut [f32],
}

impl Vectorized for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Slopes {
            by_probability,
            of_truth,
            entropy,
        } = self.slopes;
        let k = by_probability.len();
        let mut softmax = Softmax::new(k);
        let blocks = self.logits.chunks(BLOCK * k).zip(self.labels.chunks(BLOCK));
        for ((logits, labels), output) in blocks.zip(self.output.chunks_mut(BLOCK * k)) {
            softmax.compute(logits);
            let mut truth = [-1; BLOCK];
            truth[..labels.len()].copy_from_slice(labels);
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
                    let one = if is { 1.0 } else { 0.0 };
                    let slope = by_probability[class] * p[v] - hit;
                    p[v] = p[v] * (slope - mean[v]) + (p[v] - one) * entropy;
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
