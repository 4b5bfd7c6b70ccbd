//! Sizes that the kernels can take.

/// Tensors have fewer values than this: kernels count in 32 bits and look a block ahead.
pub const MOST_VALUES: usize = 1 << 31;

/// CUDA's limit on the second and third axis of a grid.
pub const MOST_BLOCKS: usize = 65_535;
