//! Dice plus cross entropy or focal loss.
#![allow(unsafe_code, reason = "launches kernels")]

use burn::tensor::DType;

use super::argument::argument;
use super::backend::{Cuda, CudaTensor};
use super::labeled::{LabeledVoxels, THREADS};
use super::operation::Operation;
use crate::reference::{self, FOCAL_SMOOTH_NUMERATOR};
use crate::results::VoxelLoss;

/// Target number of blocks per multiprocessor.
const BLOCKS: usize = 8;

/// The loss by voxel beside the Dice loss.
#[derive(Debug, Clone, Copy)]
enum Term {
    CrossEntropy,
    Focal,
}

impl Term {
    /// The name of a kernel.
    fn stem(self, what: &str) -> String {
        match self {
            Self::CrossEntropy => format!("dice_ce_{what}"),
            Self::Focal => format!("dice_focal_{what}"),
        }
    }

    /// Values per case, of which the loss has the mean.
    fn count(self, labeled: &LabeledVoxels) -> usize {
        match self {
            Self::CrossEntropy => labeled.voxels,
            Self::Focal => labeled.voxels * labeled.count,
        }
    }

    /// Added to twice the overlap in the Dice loss.
    fn smooth_numerator(self) -> f32 {
        match self {
            Self::CrossEntropy => 0.0,
            Self::Focal => FOCAL_SMOOTH_NUMERATOR as f32,
        }
    }
}

pub fn dice_ce(logits: CudaTensor, classes: CudaTensor) -> VoxelLoss<Cuda> {
    match LabeledVoxels::of(&logits, &classes) {
        Some(labeled) => loss(Term::CrossEntropy, labeled, logits, classes),
        None => reference::dice_ce::<Cuda>(logits, classes),
    }
}

pub fn dice_focal(logits: CudaTensor, classes: CudaTensor) -> VoxelLoss<Cuda> {
    match LabeledVoxels::of(&logits, &classes) {
        Some(labeled) => loss(Term::Focal, labeled, logits, classes),
        None => reference::dice_focal::<Cuda>(logits, classes),
    }
}

fn loss(
    term: Term,
    labeled: LabeledVoxels,
    logits: CudaTensor,
    classes: CudaTensor,
) -> VoxelLoss<Cuda> {
    let mut operation = Operation::beside(&logits);
    let logits = operation.dense(logits);
    let classes = operation.strided(&classes);
    let (loss, to_loss) = operation.output([1], DType::F32);
    let (sums, to_sums) = operation.output([labeled.cases, 3, labeled.count], DType::F32);
    operation.submit(move |gpu, at| {
        let terms = term.count(&labeled) as u32;
        let smooth_numerator = term.smooth_numerator();
        let LabeledVoxels {
            cases,
            voxels,
            count,
            classes: grid,
            ..
        } = labeled;
        let (kernel, warps, shared_bytes) = labeled.kernel(&term.stem("sums"));
        let most = (BLOCKS * gpu.multiprocessors as usize / cases).max(1);
        let wanted = voxels.div_ceil(labeled.stride(warps)).min(most);
        let chunk = voxels.div_ceil(wanted);
        let chunks = voxels.div_ceil(chunk);
        let outputs = cases * (3 * count + 1);
        let [partials, losses] = gpu.scratch([outputs * chunks * 4, cases * 4])?;
        let [logits, classes, to_loss, to_sums] =
            [logits, classes, to_loss, to_sums].map(|buffer| at.of(buffer));
        let [cases, voxels, count, chunk, chunks] =
            [cases, voxels, count, chunk, chunks].map(|value| value as u32);
        // SAFETY: buffers have the sizes of the tensors' shapes, partial sums one set per chunk.
        unsafe {
            gpu.launch(
                &kernel,
                [chunks, cases, 1],
                32 * warps as u32,
                shared_bytes as u32,
                &mut [
                    argument(&logits),
                    argument(&classes),
                    argument(&grid),
                    argument(&partials),
                    argument(&voxels),
                    argument(&count),
                    argument(&chunk),
                ],
            )?;
            gpu.launch(
                "combine_loss_sums",
                [outputs.div_ceil(THREADS / 32) as u32, 1, 1],
                THREADS as u32,
                0,
                &mut [
                    argument(&partials),
                    argument(&to_sums),
                    argument(&losses),
                    argument(&cases),
                    argument(&count),
                    argument(&chunks),
                ],
            )?;
            gpu.launch(
                "combine_loss",
                [1, 1, 1],
                THREADS as u32,
                0,
                &mut [
                    argument(&to_sums),
                    argument(&losses),
                    argument(&to_loss),
                    argument(&cases),
                    argument(&count),
                    argument(&terms),
                    argument(&smooth_numerator),
                ],
            )
        }
    });
    VoxelLoss { loss, sums }
}

pub fn dice_ce_gradient(
    logits: CudaTensor,
    classes: CudaTensor,
    sums: CudaTensor,
    gradient: CudaTensor,
) -> CudaTensor {
    match LabeledVoxels::with_gradient(&logits, &classes, &sums, &gradient) {
        Some(labeled) => {
            let term = Term::CrossEntropy;
            loss_gradient(term, labeled, [logits, classes, sums, gradient])
        }
        None => reference::dice_ce_gradient::<Cuda>(logits, classes, sums, gradient),
    }
}

pub fn dice_focal_gradient(
    logits: CudaTensor,
    classes: CudaTensor,
    sums: CudaTensor,
    gradient: CudaTensor,
) -> CudaTensor {
    match LabeledVoxels::with_gradient(&logits, &classes, &sums, &gradient) {
        Some(labeled) => {
            let term = Term::Focal;
            loss_gradient(term, labeled, [logits, classes, sums, gradient])
        }
        None => reference::dice_focal_gradient::<Cuda>(logits, classes, sums, gradient),
    }
}

/// With respect to the logits; inputs as of `dice_ce_gradient`.
fn loss_gradient(
    term: Term,
    labeled: LabeledVoxels,
    [logits, classes, sums, gradient]: [CudaTensor; 4],
) -> CudaTensor {
    let mut operation = Operation::beside(&logits);
    let (shape, dtype) = (logits.meta.shape().clone(), logits.dtype);
    let logits = operation.dense(logits);
    let classes = operation.strided(&classes);
    let sums = operation.dense(sums);
    let gradient = operation.dense(gradient);
    let (output, into) = operation.output(shape, dtype);
    operation.submit(move |gpu, at| {
        let (kernel, warps, _) = labeled.kernel(&term.stem("gradient"));
        let most = (BLOCKS * gpu.multiprocessors as usize / labeled.cases).max(1);
        let blocks = labeled.voxels.div_ceil(labeled.stride(warps)).min(most);
        let [logits, classes, sums, gradient, into] =
            [logits, classes, sums, gradient, into].map(|buffer| at.of(buffer));
        let grid = labeled.classes;
        let (voxels, count) = (labeled.voxels as u32, labeled.count as u32);
        let inverse_cases = 1.0 / (labeled.cases * labeled.count) as f32;
        let inverse_terms = 1.0 / (labeled.cases * term.count(&labeled)) as f32;
        let smooth_numerator = term.smooth_numerator();
        // SAFETY: buffers have the sizes of the tensors' shapes.
        unsafe {
            gpu.launch(
                &kernel,
                [blocks as u32, labeled.cases as u32, 1],
                32 * warps as u32,
                0,
                &mut [
                    argument(&logits),
                    argument(&classes),
                    argument(&grid),
                    argument(&sums),
                    argument(&gradient),
                    argument(&into),
                    argument(&voxels),
                    argument(&count),
                    argument(&inverse_cases),
                    argument(&inverse_terms),
                    argument(&smooth_numerator),
                ],
            )
        }
    });
    output
}
