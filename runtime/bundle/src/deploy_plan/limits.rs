//! Limits on what a plan may ask of a machine.

/// Largest number of channels.
pub const MAX_CHANNELS: usize = 64;
/// Largest number of labels including background.
pub const MAX_LABELS: usize = 1024;
/// Largest number of regions that may overlap: each is a bit of a label map's 16.
pub const MAX_REGIONS: usize = 16;
/// Largest number of preprocessing steps.
pub const MAX_STEPS: usize = 32;
/// Longest side of a window in voxels.
pub const MAX_WINDOW_SIDE: usize = 1024;
/// Largest window in voxels.
pub const MAX_WINDOW_VOXELS: usize = 1 << 27;
