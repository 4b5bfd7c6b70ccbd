//! Memory of an optimization step.

use vesal_network::NetworkConfig;

use crate::precision::Precision;

/// Weights and gradients in bytes per parameter.
const BYTES_PER_PARAMETER: u64 = 8;
/// A moment of the optimizer in bytes per parameter.
const BYTES_PER_MOMENT: u64 = 4;
const BYTES_PER_COPY: u64 = 2;
/// Average of the weights, in bytes per parameter.
const BYTES_PER_AVERAGE: u64 = 4;
/// Number of activations and logits that a backward pass holds in addition to those kept for it: the incoming gradient,
/// the outgoing one, and one that waits at a skip connection.
const GRADIENTS: u64 = 3;
/// Scratch memory of convolutions and other kernels, and pages of the allocator for small tensors.
const SCRATCH_BYTES: u64 = 256 << 20;
/// Scratch memory of the head's convolution, in multiples of the logits at input resolution; at most two pages of the
/// allocator.
const HEAD_SCRATCH: u64 = 6;
const HEAD_SCRATCH_PAGES: u64 = 2;
/// Memory of CUDA's libraries on a GPU, in addition to the driver's context.
const LIBRARY_BYTES: u64 = 160 << 20;
/// Number of pages that may stay partly unused; a GPU's allocator takes pages of up to a 64th of its memory.
const SPARE_PAGES: u64 = 5;
const PAGES: u64 = 64;

/// Memory of an optimization step in bytes: an upper estimate, which measured steps stay below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepMemory {
    /// Weights, gradients and moments.
    pub weights: u64,
    /// Patches, activations, logits and the gradients of both.
    pub tensors: u64,
    /// Scratch memory of the head's convolution on a GPU.
    head_scratch: u64,
}

impl StepMemory {
    /// Estimates a step of this many patches with an optimizer that keeps this many numbers per parameter.
    pub fn new(
        network: &NetworkConfig,
        patch: [usize; 3],
        patches: usize,
        precision: Precision,
        moments: u64,
    ) -> Self {
        let (real, copy) = match precision {
            Precision::Single => (4, 0),
            Precision::Mixed => (2, BYTES_PER_COPY),
        };
        let held = network.activations(patch);
        let voxels: u64 = patch.iter().map(|&side| side as u64).product();
        let inputs = voxels * (network.in_channels() as u64 * (4 + copy) + 4);
        let numbers = held.kept + GRADIENTS * (held.largest + held.logits);
        let patches = patches as u64;
        Self {
            weights: network.parameters()
                * (BYTES_PER_PARAMETER + moments * BYTES_PER_MOMENT + copy),
            tensors: patches * (numbers * real + inputs),
            head_scratch: patches * HEAD_SCRATCH * held.finest_logits * real,
        }
    }

    /// The same step where weights are averaged.
    pub fn with_average(self, network: &NetworkConfig) -> Self {
        Self {
            weights: self.weights + network.parameters() * BYTES_PER_AVERAGE,
            ..self
        }
    }

    /// Bytes on the processor.
    pub fn on_host(&self) -> u64 {
        self.weights + self.tensors
    }

    /// Bytes on a GPU with `total` bytes, without the driver's context.
    ///
    /// **Definition**: weights and tensors, half as much as the tensors for unused parts of the allocator's pages (at
    /// most five of its largest pages), scratch memory and libraries.
    pub fn on_gpu(&self, total: u64) -> u64 {
        let page = total / PAGES;
        let spare = (self.tensors / 2).min(SPARE_PAGES * page);
        let head_scratch = self.head_scratch.min(HEAD_SCRATCH_PAGES * page);
        self.weights + self.tensors + spare + head_scratch + SCRATCH_BYTES + LIBRARY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use vesal_network::SegResNetDsConfig;

    use super::*;

    const MIB: f64 = (1_u64 << 20) as f64;
    /// Total memory of the GPU of the measurements below.
    const TOTAL: u64 = 81_559 << 20;

    fn step(
        patch: [usize; 3],
        patches: usize,
        filters: usize,
        blocks: &[usize],
        classes: usize,
        precision: Precision,
    ) -> StepMemory {
        let network = NetworkConfig::SegresnetDs(SegResNetDsConfig {
            in_channels: 1,
            out_channels: classes,
            init_filters: filters,
            blocks_down: blocks.to_vec(),
            dsdepth: 4,
            resolution: None,
        });
        StepMemory::new(&network, patch, patches, precision, 2)
    }

    #[test]
    fn steps_measured_on_a_gpu_stay_below_the_estimate_and_not_far() {
        use Precision::{Mixed, Single};
        const FIVE: &[usize] = &[1, 2, 2, 4, 4];
        const FOUR: &[usize] = &[1, 2, 2, 4];
        // Memory reserved by allocator and scratch buffers, in MiB.
        for (patch, patches, filters, blocks, classes, precision, measured, most) in [
            ([32, 48, 32], 5, 32, FIVE, 3, Mixed, 1826.0, 1.3),
            ([32, 48, 32], 1, 32, FIVE, 3, Mixed, 1509.3, 1.3),
            ([32, 48, 32], 20, 32, FIVE, 3, Mixed, 3092.9, 1.3),
            ([32, 48, 32], 5, 32, FIVE, 3, Single, 1845.8, 1.3),
            ([128, 128, 128], 1, 32, FOUR, 3, Mixed, 3726.2, 1.3),
            ([128, 128, 128], 1, 32, FOUR, 3, Single, 5960.3, 1.3),
            ([96, 96, 96], 4, 32, FIVE, 3, Mixed, 5626.6, 1.45),
            ([96, 96, 96], 2, 16, FOUR, 3, Mixed, 1825.8, 1.3),
            ([96, 96, 96], 2, 32, FIVE, 3, Single, 6010.6, 1.35),
            ([160, 160, 96], 1, 32, FIVE, 3, Mixed, 4696.3, 1.3),
            ([224, 224, 144], 1, 32, FIVE, 3, Mixed, 9743.9, 1.45),
            ([224, 224, 144], 2, 32, FIVE, 3, Mixed, 22095.8, 1.3),
            ([224, 224, 144], 5, 32, FIVE, 3, Mixed, 41732.1, 1.3),
            ([224, 224, 144], 1, 32, FIVE, 3, Single, 23823.8, 1.3),
            ([128, 128, 128], 1, 32, FIVE, 105, Mixed, 9764.5, 1.3),
            ([176, 176, 176], 1, 32, FIVE, 105, Mixed, 10862.4, 1.8),
        ] {
            let found = step(patch, patches, filters, blocks, classes, precision);
            let estimate = found.on_gpu(TOTAL) as f64 / MIB;
            let ratio = estimate / (measured + LIBRARY_BYTES as f64 / MIB);
            assert!(
                (1.0..=most).contains(&ratio),
                "{patches} patches of {patch:?}, {classes} classes, {precision:?}: {estimate:.0} MiB is {ratio:.2} \
                 times what was measured"
            );
        }
    }

    #[test]
    fn steps_measured_on_a_processor_stay_below_the_estimate_and_not_far() {
        // Peak memory of the whole process, in MiB.
        for (patch, patches, filters, blocks, measured) in [
            ([32, 48, 32], 2, 8, [1, 2, 2, 4].as_slice(), 72.3),
            ([32, 48, 32], 1, 32, &[1, 2, 2, 4], 388.3),
            ([64, 64, 64], 1, 16, &[1, 2, 2, 4], 324.3),
            ([96, 96, 64], 1, 16, &[1, 2, 2, 4], 660.6),
            ([96, 96, 96], 2, 8, &[1, 2, 4], 877.9),
            ([32, 48, 32], 2, 32, &[1, 2, 2, 4, 4], 1503.6),
        ] {
            let found = step(patch, patches, filters, blocks, 3, Precision::Single);
            let ratio = found.on_host() as f64 / MIB / measured;
            assert!(
                (1.0..=1.3).contains(&ratio),
                "{patches} patches of {patch:?}: {ratio:.2}"
            );
        }
    }
}
