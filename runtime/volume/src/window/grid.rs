//! Start positions of windows.

use std::ops::Range;

use super::{WindowError, WindowPlan};
use crate::orientation::AxisTransform;

/// One axis of a window grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AxisWindows {
    /// Extent of the volume.
    volume: usize,
    /// Extent of the window.
    window: usize,
    /// Padding before the volume's first voxel.
    before: usize,
    /// Distance between neighboring starts.
    interval: usize,
    /// Whether positions are counted from the volume's last voxel.
    reversed: bool,
}

impl AxisWindows {
    fn new(volume: usize, window: usize, overlap: f64) -> Self {
        // Truncated in f64 like the reference: 10 voxels at overlap 0.8 step by 1, since 10 * (1 - 0.8) < 2.
        let step = (window as f64 * (1.0 - overlap)) as usize;
        let interval = if window >= volume {
            window
        } else {
            step.max(1)
        };
        Self {
            volume,
            window,
            before: window.saturating_sub(volume) / 2,
            interval,
            reversed: false,
        }
    }

    /// The same windows, with positions counted from the other end.
    fn reverse(self) -> Self {
        Self {
            before: self.padded() - self.before - self.volume,
            reversed: !self.reversed,
            ..self
        }
    }

    fn padded(&self) -> usize {
        self.volume.max(self.window)
    }

    fn count(&self) -> usize {
        (self.padded() - self.window).div_ceil(self.interval) + 1
    }

    /// Start of a window in the padded volume; the last one is moved back to end with it, or, where positions are
    /// reversed, the first one.
    fn start(&self, index: usize) -> usize {
        let last = self.padded() - self.window;
        if self.reversed {
            last - ((self.count() - 1 - index) * self.interval).min(last)
        } else {
            (index * self.interval).min(last)
        }
    }

    fn starts(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.count()).map(|index| self.start(index))
    }

    fn span(&self, start: usize) -> Span {
        let first = start.max(self.before);
        let end = (start + self.window).min(self.before + self.volume);
        Span {
            volume: first - self.before..end - self.before,
            patch: first - start,
        }
    }
}

/// The part of a window along one axis that lies inside the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// Voxels of the volume.
    pub volume: Range<usize>,
    /// Where they begin in the patch.
    pub patch: usize,
}

/// The start positions of the windows that cover a volume.
///
/// Along an axis where the volume is smaller than the window, the volume is padded on both sides (the odd voxel
/// after it) and one window covers all of it.
///
/// **Definition**: the interval is `max(1, trunc(size * (1 - overlap)))` voxels, or the window's size where one
/// window suffices; starts are multiples of it, the last one moved back so that its window ends with the volume.
/// The order of windows is row-major, Z fastest.
///
/// **Source**: MONAI 1.6.1 `dense_patch_slices` and `_get_scan_interval`.
///
/// ```
/// use vesal_volume::window::{Blend, Padding, WindowGrid, WindowPlan};
///
/// let plan = WindowPlan {
///     size: [96, 96, 96],
///     overlap: [0.625; 3],
///     blend: Blend::Constant,
///     padding: Padding::Constant(0.0),
/// };
/// let grid = WindowGrid::new([160, 97, 50], &plan)?;
/// assert_eq!(grid.starts(), [vec![0, 36, 64], vec![0, 1], vec![0]]);
/// assert_eq!(grid.padding_before(), [0, 0, 23]);
/// # Ok::<(), vesal_volume::window::WindowError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowGrid {
    axes: [AxisWindows; 3],
}

impl WindowGrid {
    /// Places the windows of a plan over a volume of this shape, `[X, Y, Z]`.
    ///
    /// **Errors**: an invalid plan, or a volume without voxels.
    pub fn new(volume: [usize; 3], plan: &WindowPlan) -> Result<Self, WindowError> {
        plan.validate()?;
        if volume.contains(&0) {
            return Err(WindowError::EmptyVolume { shape: volume });
        }
        let axes = std::array::from_fn(|axis| {
            AxisWindows::new(volume[axis], plan.size[axis], plan.overlap[axis])
        });
        Ok(Self { axes })
    }

    /// The same windows over the volume with its axes permuted and flipped.
    pub(super) fn traversed(&self, transform: &AxisTransform) -> Self {
        let axes = std::array::from_fn(|output| {
            let axis = self.axes[transform.source[output]];
            if transform.flip[output] {
                axis.reverse()
            } else {
                axis
            }
        });
        Self { axes }
    }

    pub fn count(&self) -> usize {
        self.axes
            .iter()
            .map(AxisWindows::count)
            .fold(1, usize::saturating_mul)
    }

    /// Shape that the windows cover: the volume, padded to at least the window, `[X, Y, Z]`.
    pub fn padded_shape(&self) -> [usize; 3] {
        self.axes.map(|axis| axis.padded())
    }

    /// Voxels of padding before the volume's first voxel, per axis.
    pub fn padding_before(&self) -> [usize; 3] {
        self.axes.map(|axis| axis.before)
    }

    /// Voxels between neighboring windows, per axis.
    pub fn interval(&self) -> [usize; 3] {
        self.axes.map(|axis| axis.interval)
    }

    /// Distinct start positions in the padded volume, per axis, ascending.
    pub fn starts(&self) -> [Vec<usize>; 3] {
        self.axes.map(|axis| axis.starts().collect())
    }

    /// Start of every window in the padded volume, in the order in which they are predicted.
    pub fn windows(&self) -> impl Iterator<Item = [usize; 3]> + '_ {
        let [x, y, z] = &self.axes;
        x.starts().flat_map(move |i| {
            y.starts()
                .flat_map(move |j| z.starts().map(move |k| [i, j, k]))
        })
    }

    /// Start of a window by its place in the order of prediction.
    pub fn window(&self, index: usize) -> Option<[usize; 3]> {
        let [x, y, z] = &self.axes;
        let row = index / z.count();
        let (i, j, k) = (row / y.count(), row % y.count(), index % z.count());
        (i < x.count()).then(|| [x.start(i), y.start(j), z.start(k)])
    }

    /// Most planes along X that are incomplete or not yet taken, if complete ones are taken after every `batch` windows.
    pub fn planes_held(&self, batch: usize) -> usize {
        let [x, y, z] = &self.axes;
        // A batch may reach beyond the layer of windows that it completes.
        let further = (batch.max(1) - 1).div_ceil(y.count().saturating_mul(z.count()));
        let last = x.count() - 1;
        let reach = |first: usize| {
            let end = x.span(x.start((first + further).min(last))).volume.end;
            end - x.span(x.start(first)).volume.start
        };
        // Layers are alike except for the last two or, where positions are reversed, the first two.
        [
            0,
            1.min(last),
            last.saturating_sub(1 + further),
            last.saturating_sub(further),
            last,
        ]
        .into_iter()
        .map(reach)
        .max()
        .unwrap_or(0)
    }

    /// The part inside the volume of the window that starts here.
    pub(super) fn spans(&self, start: [usize; 3]) -> [Span; 3] {
        std::array::from_fn(|axis| self.axes[axis].span(start[axis]))
    }

    /// The parts inside the volume of all windows along one axis.
    pub(super) fn axis_spans(&self, axis: usize) -> Vec<Span> {
        let axis = &self.axes[axis];
        axis.starts().map(|start| axis.span(start)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::window::{Blend, Padding};

    fn plan(size: [usize; 3], overlap: [f64; 3]) -> WindowPlan {
        WindowPlan {
            size,
            overlap,
            blend: Blend::Constant,
            padding: Padding::Replicate,
        }
    }

    fn starts(volume: usize, window: usize, overlap: f64) -> (usize, Vec<usize>) {
        let axis = AxisWindows::new(volume, window, overlap);
        (axis.interval, axis.starts().collect())
    }

    #[test]
    fn places_windows_as_the_reference_does() {
        assert_eq!(starts(160, 96, 0.625), (36, vec![0, 36, 64]));
        assert_eq!(starts(100, 96, 0.625), (36, vec![0, 4]));
        assert_eq!(starts(97, 96, 0.625), (36, vec![0, 1]));
        assert_eq!(starts(96, 96, 0.625), (96, vec![0]));
        assert_eq!(starts(512, 224, 0.625), (84, vec![0, 84, 168, 252, 288]));
        assert_eq!(starts(512, 224, 0.5), (112, vec![0, 112, 224, 288]));
        assert_eq!(
            starts(511, 96, 0.4),
            (57, vec![0, 57, 114, 171, 228, 285, 342, 399, 415])
        );
        assert_eq!(starts(237, 80, 0.4), (48, vec![0, 48, 96, 144, 157]));
        assert_eq!(starts(300, 144, 0.625), (54, vec![0, 54, 108, 156]));
        assert_eq!(starts(16, 4, 0.25), (3, vec![0, 3, 6, 9, 12]));
        assert_eq!(starts(15, 10, 0.25), (7, vec![0, 5]));
        assert_eq!(starts(7, 3, 0.5), (1, vec![0, 1, 2, 3, 4]));
    }

    #[test]
    fn truncates_the_interval_in_double_precision() {
        assert_eq!(starts(11, 10, 0.8), (1, vec![0, 1]));
        assert_eq!(starts(10, 7, 0.8), (1, vec![0, 1, 2, 3]));
    }

    #[test]
    fn counts_and_orders_windows_with_z_fastest() {
        let grid = WindowGrid::new([36, 50, 38], &plan([32, 48, 32], [0.625; 3])).unwrap();
        assert_eq!(grid.interval(), [12, 18, 12]);
        assert_eq!(grid.count(), 8);
        let windows: Vec<_> = grid.windows().collect();
        assert_eq!(windows[..3], [[0, 0, 0], [0, 0, 6], [0, 2, 0]]);
        assert_eq!(windows[7], [4, 2, 6]);
    }

    #[test]
    fn pads_the_odd_voxel_behind() {
        let grid = WindowGrid::new([3, 4, 9], &plan([8, 4, 3], [0.0; 3])).unwrap();
        assert_eq!(grid.padding_before(), [2, 0, 0]);
        assert_eq!(grid.padded_shape(), [8, 4, 9]);
        assert_eq!(
            grid.spans([0, 0, 6]).map(|span| span.volume),
            [0..3, 0..4, 6..9]
        );
        assert_eq!(grid.spans([0, 0, 6])[0].patch, 2);
    }

    #[test]
    fn refuses_an_empty_volume() {
        let shape = [3, 0, 9];
        let result = WindowGrid::new(shape, &plan([8, 4, 3], [0.0; 3]));
        assert_eq!(result, Err(WindowError::EmptyVolume { shape }));
    }

    proptest! {
        #[test]
        fn every_voxel_is_covered(volume in 1..200usize, window in 1..80usize, overlap in 0.0..0.99f64) {
            let axis = AxisWindows::new(volume, window, overlap);
            let mut next = 0;
            for span in axis.starts().map(|start| axis.span(start)) {
                prop_assert!(span.volume.start <= next && span.volume.end > next, "{axis:?} {span:?}");
                prop_assert!(span.patch + span.volume.len() <= window);
                next = span.volume.end;
            }
            prop_assert_eq!(next, volume);
        }
    }
}
