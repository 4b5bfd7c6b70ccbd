//! Packing the inputs of a panel of positions in the order of the tiles.

#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::Range;

use vesal_onnx::VolumeConvolution;

use super::processor::Instructions;
use super::tile::{LANES, PANEL};

/// Most voxels of a kernel along an axis.
pub(super) const MAX_KERNEL: usize = 8;

/// Positions of a group that are adjacent along the last axis.
#[derive(Clone, Copy)]
struct PositionRun {
    /// Input voxel of lane 0 for the kernel's first voxel.
    base: isize,
    /// For the first two axes, bits of the kernel's voxels that are inside the volume.
    inside: [u32; 2],
    /// For every voxel of the kernel along the last axis, bits of the lanes whose input voxel is inside the volume.
    lanes: [u16; MAX_KERNEL],
}

/// Splits positions of a group into runs.
fn runs(
    layer: &VolumeConvolution,
    output: [usize; 3],
    positions: Range<usize>,
    runs: &mut Vec<PositionRun>,
) {
    runs.clear();
    let [_, height, width] = output;
    let mut at = positions.start;
    while at < positions.end {
        let corner = [at / width / height, at / width % height, at % width];
        let length = (width - corner[2]).min(positions.end - at);
        let lane = at - positions.start;
        // Offset in the volume of the run's first input voxel.
        let first = |axis: usize| {
            (corner[axis] * layer.stride[axis]) as isize - layer.before[axis] as isize
        };
        let inside = |axis: usize, voxel: isize| (0..layer.input[axis] as isize).contains(&voxel);
        let bits = |axis: usize| {
            let bit = |tap: usize| u32::from(inside(axis, first(axis) + tap as isize)) << tap;
            (0..layer.kernel[axis]).map(bit).sum()
        };
        let mut lanes = [0; MAX_KERNEL];
        for (tap, lanes) in lanes[..layer.kernel[2]].iter_mut().enumerate() {
            for step in 0..length {
                let voxel = first(2) + (step * layer.stride[2] + tap) as isize;
                *lanes |= u16::from(inside(2, voxel)) << (lane + step);
            }
        }
        let [_, y, z] = layer.input.map(|size| size as isize);
        runs.push(PositionRun {
            base: (first(0) * y + first(1)) * z + first(2) - (lane * layer.stride[2]) as isize,
            inside: [bits(0), bits(1)],
            lanes,
        });
        at += length;
    }
}

impl Instructions {
    /// Packs the inputs of the positions for some channels, with zeros outside of the volume.
    ///
    /// **Shapes**: input `[C, X, Y, Z]`; to `[C, kernel, PANEL]`, of which only groups with positions are written; at most
    /// [`PANEL`] positions.
    pub(super) fn pack(
        self,
        layer: &VolumeConvolution,
        output: [usize; 3],
        input: &[f32],
        positions: Range<usize>,
        to: &mut [f32],
    ) {
        let voxels: usize = layer.input.iter().product();
        let channels = input.len() / voxels;
        assert!(positions.len() <= PANEL && positions.end <= output.iter().product());
        assert!(to.len() >= channels * layer.taps() * PANEL);
        let mut group_runs = Vec::with_capacity(LANES);
        for (group, start) in positions.clone().step_by(LANES).enumerate() {
            let range = start..positions.end.min(start + LANES);
            runs(layer, output, range, &mut group_runs);
            let group = PositionGroup {
                layer,
                runs: &group_runs,
                input,
                to: &mut to[group * LANES..],
            };
            match (self, layer.stride[2]) {
                // SAFETY: the processor has these instructions.
                #[cfg(target_arch = "x86_64")]
                (Self::Avx512, 1) => unsafe { group.avx512() },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                (Self::Avx512, 2) => unsafe { group.avx512_every_second() },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                (Self::Avx2, 1) => unsafe { group.avx2() },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                (Self::Avx2, 2) => unsafe { group.avx2_every_second() },
                _ => group.one_by_one(),
            }
        }
    }
}

/// A group of positions whose inputs are packed.
struct PositionGroup<'a> {
    layer: &'a VolumeConvolution,
    runs: &'a [PositionRun],
    input: &'a [f32],
    to: &'a mut [f32],
}

impl PositionGroup<'_> {
    /// Calls `copy` for every channel and voxel of the kernel on the first two axes: what is to be added to a run's
    /// base, the bits of the voxel on both axes, and where the packed values begin.
    #[inline(always)]
    fn rows(&self, mut copy: impl FnMut(isize, [u32; 2], usize)) {
        let VolumeConvolution { kernel, input, .. } = *self.layer;
        let volume: usize = input.iter().product();
        let mut to = 0;
        for channel in 0..self.input.len() / volume {
            for x in 0..kernel[0] {
                for y in 0..kernel[1] {
                    let row = channel * volume + (x * input[1] + y) * input[2];
                    copy(row as isize, [1 << x, 1 << y], to);
                    to += kernel[2] * PANEL;
                }
            }
        }
    }

    fn one_by_one(mut self) {
        let to = std::mem::take(&mut self.to);
        let (width, stride) = (self.layer.kernel[2], self.layer.stride[2] as isize);
        self.rows(|row, bits, at| {
            for tap in 0..width {
                let to = &mut to[at + tap * PANEL..][..LANES];
                to.fill(0.);
                for run in self.runs.iter().filter(|run| run.sees(bits)) {
                    for (lane, to) in to.iter_mut().enumerate() {
                        if run.lanes[tap] >> lane & 1 == 1 {
                            let voxel = run.base + row + tap as isize + lane as isize * stride;
                            *to = self.input[voxel as usize];
                        }
                    }
                }
            }
        });
    }
}

impl PositionRun {
    /// Whether a voxel of the kernel on the first two axes is inside the volume.
    fn sees(&self, bits: [u32; 2]) -> bool {
        self.inside[0] & bits[0] != 0 && self.inside[1] & bits[1] != 0
    }
}
