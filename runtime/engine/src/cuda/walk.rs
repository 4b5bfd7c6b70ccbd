//! A network's way through the windows of a volume on a GPU.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ndarray::{Array3, ArrayView4, s};
use ort::session::Session;
use vesal_volume::window::{Blending, Padding, Progress, WindowPlan};

use super::accelerator::Accelerator;
use super::buffers::{Buffers, Transfer};
use super::driver::CudaError;
use super::gpu::Event;
use super::kernels::{Layout, Sizes};
use crate::predictor::PredictorError;

/// Batches that the GPU has been given at most and has not finished: it works on one while the next is there already.
const IN_FLIGHT: usize = 2;

/// A network's way through the windows of a volume, as [`vesal_volume::window::Walk`] goes it, but on a GPU: the
/// volume goes there once, windows are cut and blended there, and only complete planes come back.
///
/// The host only queues work. Given the same outputs of the network, planes agree with the host's bit for bit.
pub(crate) struct CudaWalk<'a> {
    blending: &'a Blending,
    volume: ArrayView4<'a, f32>,
    fill: Option<f32>,
    layout: Layout,
    batch: usize,
    /// Planes of the volume on the GPU.
    uploaded: usize,
    /// Which staging buffer comes next.
    staging: usize,
    /// Planes whose sums have been started at 0.
    begun: usize,
    /// Windows queued, and windows done.
    queued: usize,
    done: usize,
    /// Batches on the GPU: windows up to their end, and when they are done.
    flights: VecDeque<(usize, Event)>,
    /// Events of batches that are done, to be used again.
    idle: Vec<Event>,
    /// Planes whose division is queued, planes on their way to the host, and planes taken.
    divided: usize,
    copied: usize,
    taken: usize,
}

impl<'a> CudaWalk<'a> {
    /// Starts before the first window of a volume, `[C, X, Y, Z]`, whose shape is that of the blending; `batch` windows
    /// go through the network at once.
    ///
    /// **Errors**: too little memory, or a volume that the kernels cannot count.
    pub(crate) fn new(
        volume: ArrayView4<'a, f32>,
        plan: &WindowPlan,
        blending: &'a Blending,
        [batch, classes]: [usize; 2],
        accelerator: &mut Accelerator,
    ) -> Result<Self, CudaError> {
        let grid = blending.grid();
        let shape = blending.shape();
        // Room for further batches while the planes that the last one completed are still being taken.
        let ring = grid.planes_held(batch.saturating_mul(IN_FLIGHT + 1));
        let ring = ring.min(shape[0]);
        let layout = Layout {
            shape,
            window: blending.window(),
            channels: [volume.dim().0, classes],
            ring,
        };
        // What another walk has left behind, if it was stopped.
        accelerator.compute.synchronize()?;
        accelerator.copies.synchronize()?;
        let old = accelerator.buffers.take();
        accelerator.buffers = Some(Buffers::fit(&accelerator.gpu, old, &layout)?);
        let mut walk = Self {
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
            copied: 0,
            taken: 0,
        };
        walk.upload_weights(accelerator)?;
        Ok(walk)
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            done: self.done,
            total: self.blending.grid().count(),
        }
    }

    /// Waits for the oldest batch, and queues further ones; gives the time that it took.
    ///
    /// **Errors**: the network or the GPU fails.
    pub(crate) fn step(
        &mut self,
        session: &mut Session,
        accelerator: &mut Accelerator,
    ) -> Result<Duration, PredictorError> {
        let start = Instant::now();
        self.queue(session, accelerator)?;
        if let Some((end, event)) = self.flights.pop_front() {
            event.synchronize()?;
            self.done = end;
            self.idle.push(event);
        }
        self.queue(session, accelerator)?;
        Ok(start.elapsed())
    }

    /// Takes the next plane along X that no further window reaches, `[K, Y, Z]`, if there is one; queues further batches.
    ///
    /// **Errors**: the network or the GPU fails.
    pub(crate) fn pop(
        &mut self,
        session: &mut Session,
        accelerator: &mut Accelerator,
    ) -> Result<Option<Array3<f32>>, PredictorError> {
        while let Some((end, event)) = self.flights.front()
            && event.is_done()?
        {
            self.done = *end;
            self.idle
                .extend(self.flights.pop_front().map(|(_, event)| event));
        }
        self.queue(session, accelerator)?;
        let complete = self.blending.complete_planes(self.done);
        if self.taken >= complete {
            return Ok(None);
        }
        let Some(buffers) = &mut accelerator.buffers else {
            return Ok(None);
        };
        let floats = self.layout.channels[1] * self.layout.plane();
        let slots = buffers.slots.len();
        while self.copied < complete.min(self.taken + slots) {
            let Transfer { memory, done } = &mut buffers.slots[self.copied % slots];
            let from = self.copied % self.layout.ring * self.layout.row();
            let (gpu, copies) = (&accelerator.gpu, &accelerator.copies);
            // Nothing to wait for: the host knows that the plane is complete.
            gpu.download(&buffers.sums, from, memory, floats, copies)?;
            done.record(copies)?;
            self.copied += 1;
        }
        let Transfer { memory, done } = &buffers.slots[self.taken % slots];
        done.synchronize()?;
        self.taken += 1;
        let [_, y, z] = self.layout.shape;
        let plane = memory.as_slice()[..floats].to_vec();
        Ok(Array3::from_shape_vec((self.layout.channels[1], y, z), plane).ok())
    }

    /// Queues batches as long as few are in flight and there is room for what they blend.
    fn queue(
        &mut self,
        session: &mut Session,
        accelerator: &mut Accelerator,
    ) -> Result<(), PredictorError> {
        while self.flights.len() < IN_FLIGHT && self.queue_batch(session, accelerator)? {}
        Ok(())
    }

    /// Queues the next batch; tells whether there was one and room for it.
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
        if end > self.taken + self.layout.ring {
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
            None => Event::new(&accelerator.gpu)?,
        };
        event.record(compute)?;
        self.flights.push_back((self.queued, event));
        Ok(true)
    }

    /// Sends the planes of the volume up to `end` to the GPU, and lets what comes next there wait for them.
    fn upload(&mut self, end: usize, accelerator: &mut Accelerator) -> Result<(), CudaError> {
        let Some(buffers) = &mut accelerator.buffers else {
            return Ok(());
        };
        if self.uploaded >= end {
            return Ok(());
        }
        let (gpu, copies) = (&accelerator.gpu, &accelerator.copies);
        let ([planes, ..], plane) = (self.layout.shape, self.layout.plane());
        let channels = self.layout.channels[0];
        while self.uploaded < end {
            let Transfer { memory, done } = &mut buffers.staging[self.staging];
            self.staging = 1 - self.staging;
            // A volume without voxels has no planes.
            let count = (memory.len() / (channels * plane).max(1))
                .min(end - self.uploaded)
                .max(1);
            let range = self.uploaded..self.uploaded + count;
            done.synchronize()?;
            let part = self.volume.slice(s![.., range.clone(), .., ..]);
            copy(part, memory.as_mut_slice());
            for channel in 0..channels {
                let (from, to) = (channel * count, channel * planes + range.start);
                let floats = count * plane;
                gpu.upload(
                    memory,
                    from * plane,
                    &buffers.volume,
                    to * plane,
                    floats,
                    copies,
                )?;
            }
            done.record(copies)?;
            self.uploaded = range.end;
        }
        buffers.uploaded.record(copies)?;
        gpu.wait(&accelerator.compute, &buffers.uploaded)
    }

    /// Starts the sums of the planes up to `end` at 0. Whatever lay at their place in the ring has been taken.
    fn begin(&mut self, end: usize, accelerator: &Accelerator) -> Result<(), CudaError> {
        let Some(buffers) = &accelerator.buffers else {
            return Ok(());
        };
        let (ring, row) = (self.layout.ring, self.layout.row());
        while self.begun < end {
            let first = self.begun % ring;
            let count = (end - self.begun).min(ring - first);
            let (gpu, compute) = (&accelerator.gpu, &accelerator.compute);
            gpu.zero(&buffers.sums, first * row, count * row, compute)?;
            self.begun += count;
        }
        Ok(())
    }

    fn upload_weights(&mut self, accelerator: &mut Accelerator) -> Result<(), CudaError> {
        let Some(buffers) = &mut accelerator.buffers else {
            return Ok(());
        };
        let (gpu, copies) = (&accelerator.gpu, &accelerator.copies);
        let mut to = 0;
        let size = buffers.staging[0].memory.len();
        for part in self.blending.weights().chunks(size) {
            let Transfer { memory, done } = &mut buffers.staging[self.staging];
            self.staging = 1 - self.staging;
            done.synchronize()?;
            memory.as_mut_slice()[..part.len()].copy_from_slice(part);
            gpu.upload(memory, 0, &buffers.weights, to, part.len(), copies)?;
            done.record(copies)?;
            to += part.len();
        }
        buffers.uploaded.record(copies)?;
        gpu.wait(&accelerator.compute, &buffers.uploaded)
    }
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
