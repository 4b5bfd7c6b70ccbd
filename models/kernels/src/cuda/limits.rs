//! Size limits of the kernels.

/// Tensors must have fewer values than this, because kernels use 32-bit indices and look a block ahead.
pub const MOST_VALUES: usize = 1 << 31;

/// CUDA's limit on the second and third axis of a grid.
pub const MOST_BLOCKS: usize = 65_535;
