//! Blending the outputs of windows plane by plane, so that the outputs of a whole volume never exist at once.

use std::collections::VecDeque;

use ndarray::{Array3, Axis};
use rayon::prelude::*;

use super::grid::Span;
use crate::orientation::AxisTransform;

use super::{WindowError, WindowGrid, WindowPlan, importance_map};

/// Values per window (voxels times channels) from which blending runs on several threads.
const PARALLEL_VALUES: usize = 1 << 17;

/// Placement and weights of the windows of one volume.
#[derive(Debug)]
pub struct Blending {
    grid: WindowGrid,
    shape: [usize; 3],
    window: [usize; 3],
    weights: Vec<f32>,
    traversal: AxisTransform,
}

impl Blending {
    /// Places and weights the windows of a plan over a volume of this shape, `[X, Y, Z]`.
    ///
    /// **Errors**: an invalid plan, or a volume without voxels.
    pub fn new(volume: [usize; 3], plan: &WindowPlan) -> Result<Self, WindowError> {
        Self::traversed(volume, plan, AxisTransform::IDENTITY)
    }

    /// The same windows in another order: that of the volume with its axes permuted and flipped. Shapes and planes of
    /// the blending refer to that volume; `volume` and `plan` are those before the transform.
    ///
    /// **Errors**: as [`new`](Self::new).
    pub fn traversed(
        volume: [usize; 3],
        plan: &WindowPlan,
        traversal: AxisTransform,
    ) -> Result<Self, WindowError> {
        let grid = WindowGrid::new(volume, plan)?;
        let map = importance_map(plan.size, plan.blend);
        let map = traversal.apply_to_view(map.view().insert_axis(Axis(0)));
        Ok(Self {
            grid: grid.traversed(&traversal),
            shape: traversal.source.map(|axis| volume[axis]),
            window: traversal.source.map(|axis| plan.size[axis]),
            weights: map.iter().copied().collect(),
            traversal,
        })
    }

    /// Transform of the axes of the volume.
    pub fn traversal(&self) -> &AxisTransform {
        &self.traversal
    }

    /// The start positions of the windows.
    pub fn grid(&self) -> &WindowGrid {
        &self.grid
    }

    /// Shape of the volume, `[X, Y, Z]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Shape of a window, `[X, Y, Z]`.
    pub fn window(&self) -> [usize; 3] {
        self.window
    }

    /// Weight of every voxel of a window, row-major.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Sum of the weights of all windows over each voxel of the plane at `x`, `[Y, Z]`.
    pub fn total_weights(&self, x: usize, total: &mut Vec<f32>) {
        let [_, rows, columns] = self.shape;
        total.clear();
        total.resize(rows * columns, 0.0);
        let [x_spans, y_spans, z_spans] = [0, 1, 2].map(|axis| self.grid.axis_spans(axis));
        let plane = self.window[1] * self.window[2];
        for x_span in x_spans.iter().filter(|span| span.volume.contains(&x)) {
            let first = (x_span.patch + x - x_span.volume.start) * plane;
            let weights = &self.weights[first..first + plane];
            for (y_span, z_span) in y_spans
                .iter()
                .flat_map(|y| z_spans.iter().map(move |z| (y, z)))
            {
                for (row, target) in y_span.volume.clone().enumerate() {
                    let from = (y_span.patch + row) * self.window[2] + z_span.patch;
                    let target = target * columns;
                    let total =
                        &mut total[target + z_span.volume.start..target + z_span.volume.end];
                    for (total, weight) in total.iter_mut().zip(&weights[from..]) {
                        *total += weight;
                    }
                }
            }
        }
    }

    /// Planes along X that are complete once the first `windows` windows are blended: no later window reaches them.
    pub fn complete_planes(&self, windows: usize) -> usize {
        match self.grid.window(windows) {
            Some(next) => self.grid.spans(next)[0].volume.start,
            None => self.shape[0],
        }
    }
}

/// Blends the outputs of one predictor: accepts windows in the order of the grid, and returns planes as soon as they
/// are complete.
///
/// **Definition**: `out = sum(w p) / sum(w)` over the windows that cover a voxel, with `p` a window's output and
/// `w` its [`importance_map`], both in `f32` and summed in the order of the windows.
///
/// **Source**: MONAI 1.6.1 `sliding_window_inference`, which holds all outputs and a second volume of weights.
#[derive(Debug)]
pub struct Stitcher<'a> {
    blending: &'a Blending,
    channels: usize,
    /// Sums over planes from `first` on, each `[K, Y, Z]`.
    planes: VecDeque<Vec<f32>>,
    first: usize,
    windows: usize,
    total: Vec<f32>,
}

impl<'a> Stitcher<'a> {
    /// Starts without windows, for outputs of this number of channels.
    pub fn new(blending: &'a Blending, channels: usize) -> Self {
        Self {
            blending,
            channels,
            planes: VecDeque::new(),
            first: 0,
            windows: 0,
            total: Vec::new(),
        }
    }

    /// Adds the output of the next window, `[K, window]` row-major; windows beyond the last are ignored.
    pub fn add(&mut self, values: &[f32]) {
        let Some(start) = self.blending.grid.window(self.windows) else {
            return;
        };
        self.windows += 1;
        let spans = self.blending.grid.spans(start);
        let [_, y, z] = self.blending.shape;
        let reach = spans[0].volume.clone();
        while self.first + self.planes.len() < reach.end {
            self.planes.push_back(vec![0.0; self.channels * y * z]);
        }
        let planes = self
            .planes
            .range_mut(reach.start - self.first..reach.end - self.first)
            .enumerate();
        let add = |(index, sums): (usize, &mut Vec<f32>)| {
            self.blending.accumulate(sums, values, &spans, index);
        };
        if values.len() >= PARALLEL_VALUES {
            planes.collect::<Vec<_>>().into_par_iter().for_each(add);
        } else {
            planes.for_each(add);
        }
    }

    /// Takes the next complete plane, `[K, Y, Z]`, if there is one; planes come in the order of X.
    pub fn pop(&mut self) -> Option<Array3<f32>> {
        if self.first >= self.blending.complete_planes(self.windows) {
            return None;
        }
        let mut plane = self.planes.pop_front()?;
        let [_, y, z] = self.blending.shape;
        self.blending.total_weights(self.first, &mut self.total);
        self.first += 1;
        let total = &self.total;
        let normalize = |channel: &mut [f32]| {
            for (sum, weight) in channel.iter_mut().zip(total) {
                *sum /= weight;
            }
        };
        if plane.len() >= PARALLEL_VALUES {
            plane.par_chunks_exact_mut(y * z).for_each(normalize);
        } else {
            plane.chunks_exact_mut(y * z).for_each(normalize);
        }
        Array3::from_shape_vec((self.channels, y, z), plane).ok()
    }
}

impl Blending {
    /// Adds plane `index` of one window's weighted output, `[K, window]`, to the sums of its plane, `[K, Y, Z]`.
    fn accumulate(&self, sums: &mut [f32], values: &[f32], spans: &[Span; 3], index: usize) {
        let [_, rows, columns] = self.shape;
        let window_plane = self.window[1] * self.window[2];
        let [x, y, z] = spans;
        let first = (x.patch + index) * window_plane;
        let weights = &self.weights[first..first + window_plane];
        for (sums, values) in sums
            .chunks_exact_mut(rows * columns)
            .zip(values.chunks_exact(self.weights.len()))
        {
            let values = &values[first..first + window_plane];
            for (row, target) in y.volume.clone().enumerate() {
                let from = (y.patch + row) * self.window[2] + z.patch;
                let source = from..from + z.volume.len();
                let target = target * columns;
                let sums = &mut sums[target + z.volume.start..target + z.volume.end];
                for ((sum, value), weight) in sums
                    .iter_mut()
                    .zip(&values[source.clone()])
                    .zip(&weights[source])
                {
                    *sum += value * weight;
                }
            }
        }
    }
}
