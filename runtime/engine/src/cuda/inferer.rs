//! Sliding-window inference on a GPU.

use std::collections::VecDeque;

use ndarray::{Array3, ArrayView4, s};
use ort::session::Session;
use vesal_volume::window::{
    Blending, Padding, WindowError, WindowGrid, WindowPlan, WindowProgress,
};

use super::accelerator::Accelerator;
use super::buffers::VolumeBuffers;
use super::download::Downloads;
use super::driver::CudaDriverError;
use super::gpu::CudaEvent;
use super::kernels::{RingLayout, Sizes};
use crate::predictor::PredictorError;

/// Most batches in flight: the GPU computes one while the next is queued.
const IN_FLIGHT: usize = 2;

/// Sliding-window inference as of [`vesal_volume::window::SlidingWindowInferer`], on a GPU: the volume is uploaded plane by
/// plane, once, windows are cut and blended there, and only complete planes are downloaded.
///
/// The host only queues work. Given the same outputs of the network, planes agree with the host's bit for bit.
pub(crate) struct CudaInferer<'a> {
    blending: &'a Blending,
    volume: ArrayView4<'a, f32>,
    fill: Option<f32>,
    layout: RingLayout,
    batch: usize,
    /// Planes of the volume on the GPU.
    uploaded: usize,
    /// Index of the next staging buffer.
    staging: usize,
    /// Planes whose sums have been started at 0.
    begun: usize,
    /// Windows queued, and windows done.
    queued: usize,
    done: usize,
    /// Batches on the GPU: number of windows up to their end, and their events.
    flights: VecDeque<(usize, CudaEvent)>,
    /// Events of completed batches, for reuse.
    idle: Vec<CudaEvent>,
    /// Planes whose division is queued.
    divided: usize,
    downloads: Downloads,
}

impl<'a> CudaInferer<'a> {
    /// Starts before the first window of a volume, `[C, X, Y, Z]`, whose shape is that of the blending; `batch` windows
    /// go through the network at once.
    ///
    /// **Errors**: too little memory, or a volume beyond the index range of the kernels.
    pub(crate) fn new(
        volume: ArrayView4<'a, f32>,
        plan: &WindowPlan,
        blending: &'a Blending,
        [batch, classes]: [usize; 2],
        accelerator: &mut Accelerator,
    ) -> Result<Self, CudaDriverError> {
        let grid = blending.grid();
        let shape = blending.shape();
        let layout = layout(grid, shape, plan.size, [volume.dim().0, batch, classes]);
        // A stopped inferer may have left work on the stream.
        accelerator.compute.synchronize()?;
        accelerator.copies.synchronize()?;
        let old = accelerator.buffers.take();
        accelerator.buffers = Some(VolumeBuffers::fit(&accelerator.gpu, old, &layout)?);
        let mut inferer = Self {
            blending,
            volume,
            fill: match plan.padding {
                Padding::Constant(value) => Some(value),
                Padding::Replicate => None,
            },
            layout,
            batch,
            uploaded: 0,
            staging: 0,
            begun: 0,
            queued: 0,
            done: 0,
            flights: VecDeque::new(),
            idle: Vec::new(),
            divided: 0,
            downloads: Downloads::default(),
        };
        inferer.upload_weights(accelerator)?;
        Ok(inferer)
    }

    /// Windows done so far.
    pub(crate) fn progress(&self) -> WindowProgress {
        WindowProgress {
            done: self.done,
            total: self.blending.grid().count(),
        }
    }

    /// Waits for the oldest batch, and queues further ones.
    ///
    /// **Errors**: the network or the GPU fails.
    pub(crate) fn step(
        &mut self,
        session: &mut Session,
        accelerator: &mut Accelerator,
    ) -> Result<(), PredictorError> {
        self.queue(session, accelerator)?;
        if let Some((end, event)) = self.flights.pop_front() {
            event.synchronize()?;
            self.done = end;
            self.idle.push(event);
        }
        self.queue(session, accelerator)
    }

    /// Takes the next planes along X that no further window reaches, `[K, Y, Z]` each: a batch of planes, or none; queues
    /// further windows.
    ///
    /// **Errors**: the network or the GPU fails.
    pub(crate) fn pop(
        &mut self,
        session: &mut Session,
        accelerator: &mut Accelerator,
    ) -> Result<Vec<Array3<f32>>, PredictorError> {
        while let Some((end, event)) = self.flights.front()
            && event.is_done()?
        {
            self.done = *end;
            self.idle
                .extend(self.flights.pop_front().map(|(_, event)| event));
        }
        self.queue(session, accelerator)?;
        let complete = self.blending.complete_planes(self.done);
        self.downloads.take(complete, &self.layout, accelerator)
    }

    /// Queues batches while few are in flight and the ring has room for their planes.
    fn queue(
        &mut self,
        session: &mut Session,
        accelerator: &mut Accelerator,
    ) -> Result<(), PredictorError> {
        while self.flights.len() < IN_FLIGHT && self.queue_batch(session, accelerator)? {}
        Ok(())
    }

    /// Queues the next batch; returns whether there was one and room for it.
    fn queue_batch(
        &mut self,
        session: &mut Session,
        accelerator: &mut Accelerator,
    ) -> Result<bool, PredictorError> {
        let grid = self.blending.grid();
        let starts: Vec<_> = (self.queued..self.queued + self.batch)
            .map_while(|window| grid.window(window))
            .collect();
        let Some(last) = starts.last() else {
            return Ok(false);
        };
        let before = grid.padding_before();
        let end = (last[0] + self.layout.window[0]).saturating_sub(before[0]);
        let end = end.min(self.layout.shape[0]);
        if end > self.downloads.taken() + self.layout.ring {
            return Ok(false);
        }
        self.upload(end, accelerator)?;
        self.begin(end, accelerator)?;

        let (Some(buffers), Some(bound)) = (&accelerator.buffers, &accelerator.bound) else {
            return Ok(false);
        };
        let (layout, compute) = (&self.layout, &accelerator.compute);
        let (voxels, stitch) = (layout.window_voxels(), &accelerator.stitch);
        let [input, output] = bound.addresses();
        // Address of a window's floats in a batch.
        let at = |address: u64, index: usize, channels: usize| {
            address + (index * channels * voxels * size_of::<f32>()) as u64
        };
        let [channels, classes] = layout.channels;
        let origins = starts.iter().map(|&start| Sizes::origin(start, before));
        let origins = origins.collect::<Result<Vec<_>, _>>()?;
        for (index, &origin) in origins.iter().enumerate() {
            let patch = at(input, index, channels);
            // SAFETY: the network's input holds `batch` windows, and its memory is kept as long as the session's.
            unsafe { stitch.cut(layout, &buffers.volume, patch, origin, self.fill, compute) }?;
        }
        bound
            .run(session)
            .map_err(|source| PredictorError::Run { source })?;
        for (index, &origin) in origins.iter().enumerate() {
            let logits = at(output, index, classes);
            let (weights, sums) = (&buffers.weights, &buffers.sums);
            // SAFETY: the network's output holds `batch` windows, and its memory is kept as long as the session's.
            unsafe { stitch.add(layout, logits, weights, sums, origin, compute) }?;
        }
        self.queued += starts.len();
        let complete = self.blending.complete_planes(self.queued);
        stitch.divide(layout, &buffers.sums, self.divided..complete, compute)?;
        self.divided = complete;
        let event = match self.idle.pop() {
            Some(event) => event,
            None => CudaEvent::new(&accelerator.gpu)?,
        };
        event.record(compute)?;
        self.flights.push_back((self.queued, event));
        Ok(true)
    }

    /// Sends the planes of the volume up to `end` to the GPU, and makes later work on the GPU wait for them. The planes
    /// that they replace in the ring are no longer needed: all windows that reach them are done.
    fn upload(&mut self, end: usize, accelerator: &mut Accelerator) -> Result<(), CudaDriverError> {
        let Some(buffers) = &mut accelerator.buffers else {
            return Ok(());
        };
        if self.uploaded >= end {
            return Ok(());
        }
        let (gpu, copies) = (&accelerator.gpu, &accelerator.copies);
        let (ring, plane) = (self.layout.ring, self.layout.plane());
        let channels = self.layout.channels[0];
        while self.uploaded < end {
            let mut staging = buffers.staging[self.staging].wait()?;
            self.staging = 1 - self.staging;
            // A volume without voxels has no planes.
            let count = (staging.floats().len() / (channels * plane).max(1))
                .max(1)
                .min(end - self.uploaded)
                .min(ring - self.uploaded % ring);
            let range = self.uploaded..self.uploaded + count;
            let part = self.volume.slice(s![.., range.clone(), .., ..]);
            copy(part, staging.floats_mut());
            let mut upload = staging.copy(copies);
            for channel in 0..channels {
                let (from, to) = (channel * count, channel * ring + range.start % ring);
                let floats = count * plane;
                upload.upload(from * plane, &buffers.volume, to * plane, floats)?;
            }
            upload.finish()?;
            self.uploaded = range.end;
        }
        buffers.uploaded.record(copies)?;
        gpu.wait(&accelerator.compute, &buffers.uploaded)
    }

    /// Sets the sums of the planes up to `end` to 0. The planes that they replace in the ring were consumed.
    fn begin(&mut self, end: usize, accelerator: &Accelerator) -> Result<(), CudaDriverError> {
        let Some(buffers) = &accelerator.buffers else {
            return Ok(());
        };
        let (ring, row) = (self.layout.ring, self.layout.row());
        while self.begun < end {
            let first = self.begun % ring;
            let count = (end - self.begun).min(ring - first);
            let compute = &accelerator.compute;
            buffers.sums.zero(first * row, count * row, compute)?;
            self.begun += count;
        }
        Ok(())
    }

    fn upload_weights(&mut self, accelerator: &mut Accelerator) -> Result<(), CudaDriverError> {
        let Some(buffers) = &mut accelerator.buffers else {
            return Ok(());
        };
        let (gpu, copies) = (&accelerator.gpu, &accelerator.copies);
        let mut to = 0;
        let size = buffers.staging[0].len();
        for part in self.blending.weights().chunks(size) {
            let mut staging = buffers.staging[self.staging].wait()?;
            self.staging = 1 - self.staging;
            staging.floats_mut()[..part.len()].copy_from_slice(part);
            let mut upload = staging.copy(copies);
            upload.upload(0, &buffers.weights, to, part.len())?;
            upload.finish()?;
            to += part.len();
        }
        buffers.uploaded.record(copies)?;
        gpu.wait(&accelerator.compute, &buffers.uploaded)
    }
}

/// Sizes of the buffers for a volume `[X, Y, Z]`, with input channels, windows per batch and output channels.
fn layout(
    grid: &WindowGrid,
    shape: [usize; 3],
    window: [usize; 3],
    [channels, batch, classes]: [usize; 3],
) -> RingLayout {
    // Room for further batches while the completed planes are still being downloaded.
    let ring = grid.planes_held(batch.saturating_mul(IN_FLIGHT + 1));
    RingLayout {
        shape,
        window,
        channels: [channels, classes],
        ring: ring.min(shape[0]),
    }
}

/// GPU memory in bytes that inference over a volume `[C, X, Y, Z]` takes besides the network, whose input and output for a
/// batch are counted; sizes that exceed 64 bits saturate.
///
/// **Errors**: an invalid plan, or a volume without voxels.
pub(crate) fn device_bytes(
    [channels, x, y, z]: [usize; 4],
    plan: &WindowPlan,
    [batch, classes]: [usize; 2],
) -> Result<u64, WindowError> {
    let grid = WindowGrid::new([x, y, z], plan)?;
    let layout = layout(&grid, [x, y, z], plan.size, [channels, batch, classes]);
    let [i, j, k] = plan.size;
    let floats = [
        [channels, layout.ring, y, z, 1],
        [classes.saturating_add(1), layout.ring, y, z, 1],
        [1, 1, i, j, k],
        [batch, channels, i, j, k],
        [batch, classes, i, j, k],
    ];
    let product = |factors: [usize; 5]| {
        let bytes = size_of::<f32>() as u64;
        factors.iter().fold(bytes, |product, &factor| {
            product.saturating_mul(factor as u64)
        })
    };
    Ok(floats.map(product).into_iter().fold(0, u64::saturating_add))
}

/// Copies a part of a volume, one channel after the other.
fn copy(part: ArrayView4<'_, f32>, to: &mut [f32]) {
    let length: usize = part.shape()[1..].iter().product();
    for (channel, to) in part.outer_iter().zip(to.chunks_exact_mut(length.max(1))) {
        match channel.as_slice() {
            Some(values) => to.copy_from_slice(values),
            None => to
                .iter_mut()
                .zip(channel)
                .for_each(|(to, from)| *to = *from),
        }
    }
}

#[cfg(test)]
mod tests {
    use vesal_volume::window::Blend;

    use super::*;

    #[test]
    fn memory_does_not_grow_with_the_length_of_the_volume() {
        let plan = WindowPlan {
            size: [96; 3],
            overlap: [0.5; 3],
            blend: Blend::Constant,
            padding: Padding::Constant(0.),
        };
        let bytes = |x| device_bytes([1, x, 512, 275], &plan, [4, 3]).unwrap();
        // One layer of windows and the step to the next: 144 planes of a channel, 3 classes and their weights.
        let planes = 144 * 512 * 275 * (1 + 3 + 1);
        let windows = 96 * 96 * 96 * (1 + 4 + 4 * 3);
        assert_eq!(bytes(512), 4 * (planes + windows));
        assert_eq!(bytes(5120), bytes(512));
        assert!(bytes(96) < bytes(512));
        let huge = device_bytes([1, usize::MAX, usize::MAX, usize::MAX], &plan, [4, 3]);
        assert_eq!(huge.unwrap(), u64::MAX);
    }
}
