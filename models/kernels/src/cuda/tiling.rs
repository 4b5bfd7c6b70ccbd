//! How channels-last activations are shared among blocks of threads.

use super::backend::CudaTensor;
use super::precision::ActivationType;
use super::tensor::{axes, is_single};
use crate::nonlinearity::Nonlinearity;

/// Threads of a block, as in channels.cu.
const THREADS: usize = 256;

/// Threads of a block that combines partial sums, as in combine.cu.
pub const COMBINE_THREADS: u32 = 512;

/// Channels of a block that combines partial sums.
const COMBINE_CHANNELS: usize = 32;

/// Target number of blocks per multiprocessor.
const BLOCKS: usize = 8;

/// How voxels and channels are shared among blocks; laid out as in channels.cu.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Tiling {
    voxels: u32,
    channels: u32,
    lanes: u32,
    chunk: u32,
    slope: f32,
}

/// A tiling and the size of its launches.
pub struct LaunchGrid {
    pub tiling: Tiling,
    pub blocks: [u32; 3],
    pub threads: u32,
    /// End of the names of the kernels.
    suffix: String,
}

impl LaunchGrid {
    pub fn new(
        multiprocessors: u32,
        precision: ActivationType,
        [cases, voxels, channels]: [usize; 3],
        nonlinearity: Nonlinearity,
    ) -> Self {
        let vector = 16 / precision.bytes();
        let width = if channels % vector == 0 { vector } else { 1 };
        let groups = channels / width;
        let columns = groups.div_ceil(32);
        let lanes = groups.div_ceil(columns);
        let rows = THREADS / lanes;
        let wanted = BLOCKS * multiprocessors as usize / (cases * columns);
        let chunks = wanted.clamp(1, voxels.div_ceil(2 * rows));
        let chunk = voxels.div_ceil(chunks);
        Self {
            tiling: Tiling {
                voxels: voxels as u32,
                channels: channels as u32,
                lanes: lanes as u32,
                chunk: chunk as u32,
                slope: nonlinearity.slope(),
            },
            blocks: [voxels.div_ceil(chunk) as u32, columns as u32, cases as u32],
            threads: (lanes * rows) as u32,
            suffix: format!("{}_{width}", precision.name()),
        }
    }

    pub fn kernel(&self, stem: &str) -> String {
        format!("{stem}_{}", self.suffix)
    }

    /// Bytes of the partial sums, two per chunk and channel.
    pub fn partial_bytes(&self) -> usize {
        let [chunks, _, cases] = self.blocks.map(|count| count as usize);
        cases * chunks * 2 * self.tiling.channels as usize * 4
    }
}

/// Cases, voxels and channels.
pub fn extent(activations: &CudaTensor) -> [usize; 3] {
    let [n, x, y, z, c] = axes::<5>(activations);
    [n, x * y * z, c]
}

/// Whether a tensor has one number per channel that kernels can read.
pub fn is_parameter(tensor: &CudaTensor, channels: usize) -> bool {
    is_single(tensor) && tensor.meta.shape().num_elements() == channels
}

/// Blocks that combine the sums of all channels.
pub fn combine_blocks(channels: usize) -> u32 {
    channels.div_ceil(COMBINE_CHANNELS) as u32
}
