//! Losses by voxel, which are added to the Dice loss.

use super::softmax::Softmax;

/// The logits of a block of voxels, `[voxels, classes]`, and their classes.
#[derive(Clone, Copy)]
pub struct LabeledBlock<'a> {
    pub logits: &'a [f32],
    pub labels: &'a [i32],
}

/// A loss by voxel, with buffers for one block of voxels.
///
/// All functions are `#[inline(always)]`, as in [`Vectorized`](super::lanes::Vectorized).
pub trait VoxelTerm: Send {
    /// Added to twice the overlap in the Dice loss beside it.
    const SMOOTH_NUMERATOR: f64;

    fn new(classes: usize) -> Self;

    fn classes(&self) -> usize;

    /// Number of terms of which the loss is the mean.
    fn count(voxels: usize, classes: usize) -> usize;

    /// Sum over a block.
    fn sum(&mut self, block: LabeledBlock, softmax: &Softmax) -> f64;

    /// Prepares the derivatives of a block, whose labels are padded to whole blocks.
    fn slopes(&mut self, block: LabeledBlock, softmax: &Softmax);

    /// Derivative with respect to a logit with this probability, of the true class or of another.
    fn slope(&self, class: usize, voxel: usize, probability: f32, is_truth: bool) -> f32;
}

/// `-log p` of the true class.
pub struct CrossEntropy {
    classes: usize,
}

impl VoxelTerm for CrossEntropy {
    const SMOOTH_NUMERATOR: f64 = 0.0;

    fn new(classes: usize) -> Self {
        Self { classes }
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn count(voxels: usize, _: usize) -> usize {
        voxels
    }

    #[inline(always)]
    fn sum(&mut self, LabeledBlock { logits, labels }: LabeledBlock, softmax: &Softmax) -> f64 {
        let k = self.classes;
        let mut sum = 0.0;
        for (v, &label) in labels.iter().enumerate() {
            let mut entropy = softmax.exponentials[v].ln();
            if let Ok(class) = usize::try_from(label)
                && class < k
            {
                entropy -= logits[v * k + class] - softmax.largest[v];
            }
            sum += f64::from(entropy);
        }
        sum
    }

    #[inline(always)]
    fn slopes(&mut self, _: LabeledBlock, _: &Softmax) {}

    #[inline(always)]
    fn slope(&self, _: usize, _: usize, probability: f32, is_truth: bool) -> f32 {
        probability - if is_truth { 1.0 } else { 0.0 }
    }
}
