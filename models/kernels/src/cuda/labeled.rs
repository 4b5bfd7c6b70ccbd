//! Logits with the classes of their voxels.

use burn::tensor::DType;

use super::backend::CudaTensor;
use super::precision::ActivationType;
use super::tensor::{axes, is_single, strides};

/// Largest number of classes whose sums fit shared memory.
const MOST_CLASSES: usize = 1024;

/// Threads of a block, as in loss.cu.
pub const THREADS: usize = 256;

/// Shared memory of a block, in bytes.
const SHARED_BYTES: usize = 48 << 10;

/// Class indices on their own grid; laid out as in loss.cu.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ClassGrid {
    strides: [u32; 4],
    fine: [u32; 3],
    coarse: [u32; 3],
}

/// Supported shapes and layouts of logits and classes.
pub struct LabeledVoxels {
    precision: ActivationType,
    pub cases: usize,
    pub voxels: usize,
    /// Number of classes.
    pub count: usize,
    pub classes: ClassGrid,
}

impl LabeledVoxels {
    pub fn of(logits: &CudaTensor, classes: &CudaTensor) -> Option<Self> {
        let precision = ActivationType::of(logits)?;
        let [cases, x, y, z, count] = axes::<5>(logits);
        if classes.dtype != DType::I32
            || classes.meta.shape().num_dims() != 4
            || count > MOST_CLASSES
        {
            return None;
        }
        let [own_cases, fine @ ..] = axes::<4>(classes);
        let coarse = [x, y, z];
        let fits = own_cases == cases && fine.iter().zip(&coarse).all(|(fine, own)| fine >= own);
        let whole = |values: [usize; 3]| values.map(|value| value as u32);
        fits.then(|| Self {
            precision,
            cases,
            voxels: x * y * z,
            count,
            classes: ClassGrid {
                strides: strides::<4>(classes).map(|stride| stride as u32),
                fine: whole(fine),
                coarse: whole(coarse),
            },
        })
    }

    /// The same where the sums and the gradient of the loss are supported too.
    pub fn with_gradient(
        logits: &CudaTensor,
        classes: &CudaTensor,
        sums: &CudaTensor,
        gradient: &CudaTensor,
    ) -> Option<Self> {
        let known =
            is_single(sums) && is_single(gradient) && gradient.meta.shape().num_elements() == 1;
        Self::of(logits, classes)
            .filter(|own| known && sums.meta.shape().num_elements() == own.cases * 3 * own.count)
    }

    /// The kernel for this many classes, and its warps and bytes of shared memory per block.
    pub fn kernel(&self, stem: &str) -> (String, usize, usize) {
        let name = self.precision.name();
        let width = match self.count {
            0..=4 => "4",
            5..=8 => "8",
            _ => {
                let sums = 4 * (3 * self.count + 1);
                let warps = (SHARED_BYTES / sums).clamp(1, THREADS / 32);
                return (format!("{stem}_{name}_many"), warps, warps * sums);
            }
        };
        (format!("{stem}_{name}_{width}"), THREADS / 32, 0)
    }

    /// Voxels that a block takes at once.
    pub fn stride(&self, warps: usize) -> usize {
        if self.count <= 8 { THREADS } else { warps }
    }
}
