//! Copies of complete planes from a GPU to the host.

use std::collections::VecDeque;

use ndarray::{Array3, ArrayView3, ShapeError};
use rayon::prelude::*;

use super::accelerator::Accelerator;
use super::buffers::{VolumeBuffers, planes_per_batch};
use super::driver::CudaDriverError;
use super::kernels::RingLayout;
use crate::predictor::PredictorError;

/// Downloads of complete planes in batches: one batch is copied while the previous one is consumed.
#[derive(Debug, Default)]
pub(super) struct Downloads {
    /// Target buffer and number of planes of each copy.
    under_way: VecDeque<(usize, usize)>,
    /// Buffer of the next copy.
    next: usize,
    /// Planes whose copies were queued, and planes that were consumed.
    sent: usize,
    taken: usize,
}

impl Downloads {
    /// Planes that were consumed; their place on the GPU is no longer read.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Returns the next batch of the planes before `complete`, `[K, Y, Z]` each, in the order of X; empty if all were
    /// consumed.
    ///
    /// The caller must know that they are complete; this function does not wait for it.
    ///
    /// **Errors**: the GPU fails.
    pub(super) fn take(
        &mut self,
        complete: usize,
        layout: &RingLayout,
        accelerator: &mut Accelerator,
    ) -> Result<Vec<Array3<f32>>, PredictorError> {
        self.send(complete, layout, accelerator)?;
        let (Some((buffer, count)), Some(buffers)) =
            (self.under_way.pop_front(), &mut accelerator.buffers)
        else {
            return Ok(Vec::new());
        };
        let plane_batch = buffers.plane_batches[buffer].wait()?;
        let [_, y, z] = layout.shape;
        let (classes, floats) = (layout.channels[1], layout.channels[1] * layout.plane());
        // On many threads, because page faults of new memory are slow.
        let planes = plane_batch.floats()[..count * floats]
            .par_chunks_exact(floats.max(1))
            .map(|plane| Ok(ArrayView3::from_shape((classes, y, z), plane)?.to_owned()))
            .collect::<Result<_, ShapeError>>();
        self.taken += count;
        self.send(complete, layout, accelerator)?;
        planes.map_err(|_| PredictorError::Memory)
    }

    /// Queues copies of the planes before `complete` while buffers are free.
    fn send(
        &mut self,
        complete: usize,
        layout: &RingLayout,
        accelerator: &mut Accelerator,
    ) -> Result<(), CudaDriverError> {
        let Accelerator {
            copies,
            buffers:
                Some(VolumeBuffers {
                    plane_batches,
                    sums,
                    ..
                }),
            ..
        } = accelerator
        else {
            return Ok(());
        };
        let floats = layout.channels[1] * layout.plane();
        while self.under_way.len() < plane_batches.len() && self.sent < complete {
            let mut plane_batch = plane_batches[self.next].wait()?.copy(copies);
            let count = planes_per_batch(layout).min(complete - self.sent);
            for plane in 0..count {
                let from = (self.sent + plane) % layout.ring * layout.row();
                plane_batch.download(sums, from, plane * floats, floats)?;
            }
            plane_batch.finish()?;
            self.under_way.push_back((self.next, count));
            self.next = (self.next + 1) % 2;
            self.sent += count;
        }
        Ok(())
    }
}
