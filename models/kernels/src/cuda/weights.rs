//! Weights in Burn's layout and in cuDNN's.
#![allow(unsafe_code, reason = "launches kernels")]

use super::argument::argument;
use super::backend::CudaTensor;
use super::error::CudaError;
use super::gpu::Gpu;
use super::precision::ActivationType;
use super::problem::{Direction, Layout, Problem};
use super::tensor::{Strided, axes, strides};

/// Channels of a tile of weights, as in layout.cu.
const TILE_CHANNELS: usize = 32;

/// Values of a tile of weights, as in layout.cu.
const TILE_VALUES: usize = 8192;

/// The layout of weights in `f32`, `[K, C, X, Y, Z]`.
#[derive(Debug, Clone, Copy)]
pub struct Weights {
    shape: [usize; 5],
    strides: [usize; 5],
}

/// The same for the kernels that copy by tiles; laid out as in layout.cu.
#[repr(C)]
struct Taps {
    channels: u32,
    shape: [u32; 3],
    strides: [u32; 5],
}

impl Weights {
    /// The layout of a tensor of rank 5.
    pub fn of(weight: &CudaTensor) -> Self {
        Self {
            shape: axes(weight),
            strides: strides(weight),
        }
    }

    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Packs weights into the layout of a plan, or unpacks a dense gradient.
    ///
    /// # Safety
    ///
    /// `weight` must have this layout, and `packed` as many values.
    pub unsafe fn convert(
        &self,
        gpu: &mut Gpu,
        problem: &Problem,
        layout: Layout,
        weight: u64,
        packed: u64,
    ) -> Result<(), CudaError> {
        let packs = problem.direction != Direction::WeightGradient;
        let [k, c, x, y, z] = self.shape;
        let count = x * y * z;
        let (from, into) = if packs {
            (weight, packed)
        } else {
            (packed, weight)
        };
        if layout == Layout::ChannelsLast && count * TILE_CHANNELS <= TILE_VALUES {
            let taps = Taps {
                channels: c as u32,
                shape: [x, y, z].map(|length| length as u32),
                strides: self.strides.map(|stride| stride as u32),
            };
            let verb = if packs { "pack" } else { "unpack" };
            let kernel = format!("{verb}_{}", problem.precision.name());
            let grid = [c.div_ceil(TILE_CHANNELS) as u32, k as u32, 1];
            let mut arguments = [argument(&from), argument(&into), argument(&taps)];
            // SAFETY: promised by the caller; a tile fits shared memory.
            return unsafe { gpu.launch(&kernel, grid, 256, 0, &mut arguments) };
        }
        let kernel = match (problem.precision, packs) {
            (ActivationType::Single, _) => "copy_4",
            (ActivationType::Half, true) => "copy_single_to_half",
            (ActivationType::Half, false) => "copy_half_to_single",
        };
        let [sk, sc, sx, sy, sz] = self.strides;
        let strided = match (layout, packs) {
            (Layout::ChannelsLast, true) => Strided::new(&[k, x, y, z, c], &[sk, sx, sy, sz, sc]),
            (Layout::ChannelsLast, false) => {
                Strided::new(&self.shape, &[count * c, 1, y * z * c, z * c, c])
            }
            (Layout::ChannelsFirst, _) => Strided::new(&self.shape, &self.strides),
        };
        // SAFETY: guaranteed by the caller.
        unsafe { strided.copy(gpu, kernel, from, into) }
    }
}
