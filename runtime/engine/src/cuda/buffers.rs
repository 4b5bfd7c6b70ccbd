//! Memory around a network, kept from case to case.

use std::sync::Arc;

use super::driver::CudaError;
use super::gpu::{Event, Gpu};
use super::kernels::Layout;
use super::memory::{DeviceMemory, Transfer};

/// Floats of one of the two buffers through which a volume goes to the GPU: 8 MiB.
const STAGING: usize = 1 << 21;

/// Most bytes of the planes that come to the host as one lot, if one plane is not larger: 32 MiB.
const LOT_BYTES: usize = 32 << 20;

/// Memory for one volume at a time.
pub(super) struct Buffers {
    /// A ring of planes of the volume, `[C, ring, Y, Z]`.
    pub(super) volume: DeviceMemory,
    /// A ring of planes, each `[K + 1, Y, Z]`.
    pub(super) sums: DeviceMemory,
    /// Of the voxels of a window.
    pub(super) weights: DeviceMemory,
    pub(super) staging: [Transfer; 2],
    /// Lots of planes `[K, Y, Z]`.
    pub(super) lots: [Transfer; 2],
    /// When the staging buffers have reached the GPU.
    pub(super) uploaded: Event,
}

impl Buffers {
    /// Makes room for a volume: what is large enough already is kept.
    ///
    /// **Errors**: too little memory.
    pub(super) fn fit(
        gpu: &Arc<Gpu>,
        old: Option<Self>,
        layout: &Layout,
    ) -> Result<Self, CudaError> {
        let [_, classes] = layout.channels;
        let volume = layout.volume();
        let sums = layout.ring * layout.row();
        let staging = staging_floats(layout);
        let lot = classes * layout.plane() * lot_planes(layout);
        if let Some(old) = old {
            let enough = old.volume.len() >= volume
                && old.sums.len() >= sums
                && old.weights.len() >= layout.window_voxels()
                && old
                    .staging
                    .iter()
                    .all(|at| at.len() >= staging && at.is_usable())
                && old.lots.iter().all(|at| at.len() >= lot && at.is_usable());
            if enough {
                return Ok(old);
            }
            // Freed before anything larger is asked for.
            drop(old);
        }
        Ok(Self {
            volume: DeviceMemory::new(gpu, volume)?,
            sums: DeviceMemory::new(gpu, sums)?,
            weights: DeviceMemory::new(gpu, layout.window_voxels())?,
            staging: [Transfer::new(gpu, staging)?, Transfer::new(gpu, staging)?],
            lots: [Transfer::new(gpu, lot)?, Transfer::new(gpu, lot)?],
            uploaded: Event::new(gpu)?,
        })
    }
}

/// Floats of a staging buffer: at least one plane of all channels, and a window's weights in pieces.
fn staging_floats(layout: &Layout) -> usize {
    STAGING.max(layout.channels[0] * layout.plane())
}

/// Planes of a lot.
pub(super) fn lot_planes(layout: &Layout) -> usize {
    let plane = layout.channels[1] * layout.plane() * size_of::<f32>();
    (LOT_BYTES / plane.max(1)).clamp(1, layout.ring.max(1))
}

/// Most bytes of host memory that a lot of planes of so many bytes takes.
pub(crate) fn lot_bytes(plane: u64) -> u64 {
    plane.max(LOT_BYTES as u64)
}
