//! Memory around a network, kept from case to case.

use std::sync::Arc;

use super::driver::CudaDriverError;
use super::gpu::{CudaContext, CudaEvent};
use super::kernels::RingLayout;
use super::memory::{DeviceBuffer, Transfer};

/// Floats of one of the two buffers through which a volume goes to the GPU: 8 MiB.
const STAGING: usize = 1 << 21;

/// Largest plane batch in bytes, if one plane is not larger: 32 MiB.
const PLANE_BATCH_BYTES: usize = 32 << 20;

/// Memory for one volume at a time.
pub(super) struct VolumeBuffers {
    /// A ring of planes of the volume, `[C, ring, Y, Z]`.
    pub(super) volume: DeviceBuffer,
    /// A ring of planes, each `[K + 1, Y, Z]`.
    pub(super) sums: DeviceBuffer,
    /// Blending weights of the voxels of a window.
    pub(super) weights: DeviceBuffer,
    pub(super) staging: [Transfer; 2],
    /// Batches of complete planes `[K, Y, Z]`.
    pub(super) plane_batches: [Transfer; 2],
    /// Events after the copies of the staging buffers.
    pub(super) uploaded: CudaEvent,
}

impl VolumeBuffers {
    /// Allocates buffers for a volume; those that are large enough are kept.
    ///
    /// **Errors**: too little memory.
    pub(super) fn fit(
        gpu: &Arc<CudaContext>,
        old: Option<Self>,
        layout: &RingLayout,
    ) -> Result<Self, CudaDriverError> {
        let [_, classes] = layout.channels;
        let volume = layout.volume();
        let sums = layout.ring * layout.row();
        let staging = staging_floats(layout);
        let plane_batch = classes * layout.plane() * planes_per_batch(layout);
        if let Some(old) = old {
            let enough = old.volume.len() >= volume
                && old.sums.len() >= sums
                && old.weights.len() >= layout.window_voxels()
                && old
                    .staging
                    .iter()
                    .all(|at| at.len() >= staging && at.is_usable())
                && old
                    .plane_batches
                    .iter()
                    .all(|at| at.len() >= plane_batch && at.is_usable());
            if enough {
                return Ok(old);
            }
            // Freed before anything larger is allocated.
            drop(old);
        }
        Ok(Self {
            volume: DeviceBuffer::new(gpu, volume)?,
            sums: DeviceBuffer::new(gpu, sums)?,
            weights: DeviceBuffer::new(gpu, layout.window_voxels())?,
            staging: [Transfer::new(gpu, staging)?, Transfer::new(gpu, staging)?],
            plane_batches: [
                Transfer::new(gpu, plane_batch)?,
                Transfer::new(gpu, plane_batch)?,
            ],
            uploaded: CudaEvent::new(gpu)?,
        })
    }
}

/// Floats of a staging buffer: at least one plane of all channels, and a window's weights in pieces.
fn staging_floats(layout: &RingLayout) -> usize {
    STAGING.max(layout.channels[0] * layout.plane())
}

pub(super) fn planes_per_batch(layout: &RingLayout) -> usize {
    let plane = layout.channels[1] * layout.plane() * size_of::<f32>();
    (PLANE_BATCH_BYTES / plane.max(1)).clamp(1, layout.ring.max(1))
}

/// Upper bound in bytes of host memory for a batch of planes of `plane` bytes each.
pub(crate) fn plane_batch_bytes(plane: u64) -> u64 {
    plane.max(PLANE_BATCH_BYTES as u64)
}
