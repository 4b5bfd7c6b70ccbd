//! Trilinear interpolation one axis after the other.

use super::coordinates::Coordinates;

/// Two neighbors along an axis and their weights.
///
/// Both weights are kept: a weight of 1e-16 must not vanish beside the other, because it distinguishes a voxel at the
/// edge of the foreground from a zero.
#[derive(Clone, Copy)]
pub(super) struct Tap {
    pub(super) low: usize,
    pub(super) high: usize,
    low_weight: f32,
    high_weight: f32,
}

impl Tap {
    pub(super) fn new(coordinate: f64, n: usize) -> Self {
        // Signed, because vector instructions convert signed integers.
        let floor = coordinate as i64;
        let low = (floor as usize).min(n - 1);
        Self {
            low,
            high: (low + 1).min(n - 1),
            low_weight: ((floor + 1) as f64 - coordinate) as f32,
            high_weight: (coordinate - floor as f64) as f32,
        }
    }

    /// Interpolates between the values at the two neighbors.
    pub(super) fn mix(self, low: f32, high: f32) -> f32 {
        low * self.low_weight + high * self.high_weight
    }
}

/// The taps along the last axis, for lines whose last value is repeated once: the high neighbor is the next value.
struct Line {
    low: Vec<usize>,
    low_weights: Vec<f32>,
    high_weights: Vec<f32>,
    /// Whether low neighbors follow each other without a gap, as where the spacing stays.
    gapless: bool,
}

/// Outputs that are interpolated together: their neighbors are gathered first, so that the arithmetic vectorizes.
const GATHERED: usize = 8;

impl Line {
    fn new(taps: impl Iterator<Item = Tap>) -> Self {
        let taps: Vec<_> = taps.collect();
        Self {
            gapless: taps.windows(2).all(|pair| pair[1].low == pair[0].low + 1),
            low: taps.iter().map(|tap| tap.low).collect(),
            low_weights: taps.iter().map(|tap| tap.low_weight).collect(),
            high_weights: taps.iter().map(|tap| tap.high_weight).collect(),
        }
    }

    /// Fills an output row from a padded input line.
    fn fill(&self, line: &[f32], row: &mut [f32]) {
        if self.gapless {
            let low = &line[self.low.first().copied().unwrap_or(0)..];
            let neighbors = low.iter().zip(&low[1..]);
            let weights = self.low_weights.iter().zip(&self.high_weights);
            for ((value, (low, high)), (a, b)) in row.iter_mut().zip(neighbors).zip(weights) {
                *value = low * a + high * b;
            }
            return;
        }
        let mut rows = row.chunks_exact_mut(GATHERED);
        let mut lows = self.low.chunks_exact(GATHERED);
        let mut low_weights = self.low_weights.chunks_exact(GATHERED);
        let mut high_weights = self.high_weights.chunks_exact(GATHERED);
        for (((values, at), a), b) in (&mut rows)
            .zip(&mut lows)
            .zip(&mut low_weights)
            .zip(&mut high_weights)
        {
            let low: [f32; GATHERED] = std::array::from_fn(|i| line[at[i]]);
            let high: [f32; GATHERED] = std::array::from_fn(|i| line[at[i] + 1]);
            for i in 0..GATHERED {
                values[i] = low[i] * a[i] + high[i] * b[i];
            }
        }
        let rest = rows.into_remainder().iter_mut().zip(lows.remainder());
        let weights = low_weights.remainder().iter().zip(high_weights.remainder());
        for ((value, &at), (a, b)) in rest.zip(weights) {
            *value = line[at] * a + line[at + 1] * b;
        }
    }
}

/// Interpolation where every input axis depends on one output axis alone.
pub(super) struct Separable {
    /// Shape of the input.
    from: [usize; 3],
    /// Of the first two axes, one per output index.
    taps: [Vec<Tap>; 2],
    line: Line,
}

/// Buffers of [`Separable`]: three input lines, each with its last value repeated.
#[derive(Default)]
pub(super) struct LineBuffers {
    low: Held,
    high: Held,
    between: Vec<f32>,
}

/// An input line that is interpolated along the first axis, and its index.
#[derive(Default)]
struct Held {
    y: Option<usize>,
    line: Vec<f32>,
}

impl Separable {
    /// Takes the coordinates along each axis, without the displacement by the other axes; `None` where they displace a
    /// voxel by more than `tolerance` voxels.
    pub(super) fn new(coordinates: &Coordinates, tolerance: f64) -> Option<Self> {
        if coordinates.coupling() > tolerance {
            return None;
        }
        let from = coordinates.from;
        let taps = |axis: usize| {
            let along = coordinates.along(axis);
            along.map(move |c| Tap::new(c, from[axis]))
        };
        Some(Self {
            from,
            taps: [taps(0).collect(), taps(1).collect()],
            line: Line::new(taps(2)),
        })
    }

    /// Values of one output row.
    pub(super) fn values_per_row(&self) -> usize {
        self.line.low.len()
    }

    /// Values of one input plane.
    pub(super) fn values_per_plane(&self) -> usize {
        self.from[1] * self.from[2]
    }

    /// The input planes between which output plane `x` lies; the same plane twice where it coincides with one.
    pub(super) fn neighbors(&self, x: usize) -> [usize; 2] {
        let tap = self.taps[0][x];
        if tap.high_weight == 0.0 {
            [tap.low; 2]
        } else {
            [tap.low, tap.high]
        }
    }

    /// Fills the output plane `[Y, Z]` at `x` from its two neighbors.
    ///
    /// Goes row by row and reads every input line once; intermediate values stay in the first-level cache.
    pub(super) fn plane(
        &self,
        x: usize,
        neighbors: [&[f32]; 2],
        output: &mut [f32],
        buffers: &mut LineBuffers,
    ) {
        buffers.forget();
        let rows = output.chunks_exact_mut(self.line.low.len());
        for (y, row) in (0..self.taps[1].len()).zip(rows) {
            self.row([x, y], neighbors, row, buffers);
        }
    }

    /// Fills one row of such a plane; the buffers have to be cleared before another plane or channel.
    pub(super) fn row(
        &self,
        [x, y]: [usize; 2],
        [low, high]: [&[f32]; 2],
        row: &mut [f32],
        buffers: &mut LineBuffers,
    ) {
        let (across, tap, nz) = (self.taps[0][x], self.taps[1][y], self.from[2]);
        let LineBuffers {
            low: first,
            high: second,
            between,
        } = buffers;
        let hold = |held: &mut Held, y: usize| {
            if held.y != Some(y) {
                let part = y * nz..(y + 1) * nz;
                mix_line(&low[part.clone()], &high[part], across, &mut held.line);
                held.y = Some(y);
            }
        };
        if second.y == Some(tap.low) {
            std::mem::swap(first, second);
        }
        hold(first, tap.low);
        if tap.high_weight == 0.0 {
            self.line.fill(&first.line, row);
        } else {
            hold(second, tap.high);
            mix_line(&first.line[..nz], &second.line[..nz], tap, between);
            self.line.fill(between, row);
        }
    }
}

impl LineBuffers {
    pub(super) fn forget(&mut self) {
        (self.low.y, self.high.y) = (None, None);
    }
}

/// Interpolates between two lines and repeats the last value; with a weight of zero, even values that are not finite do
/// not count.
fn mix_line(low: &[f32], high: &[f32], tap: Tap, line: &mut Vec<f32>) {
    line.clear();
    if tap.high_weight == 0.0 {
        line.extend_from_slice(low);
    } else {
        line.extend(low.iter().zip(high).map(|(&low, &high)| tap.mix(low, high)));
    }
    line.extend(line.last().copied());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::{Affine, Geometry};

    #[test]
    fn the_smallest_share_of_a_neighbor_survives() {
        let tap = Tap::new(1.0 - f64::EPSILON / 2.0, 3);
        assert_eq!((tap.low, tap.high), (0, 1));
        assert!(tap.mix(100.0, 0.0) > 0.0);
        let exact = Tap::new(1.0, 3);
        assert_eq!(exact.mix(0.0, 100.0), 0.0);
    }

    #[test]
    fn the_last_voxel_has_no_neighbor_beyond() {
        let tap = Tap::new(2.0, 3);
        assert_eq!((tap.low, tap.high), (2, 2));
        assert_eq!(tap.mix(7.0, 7.0), 7.0);
    }

    /// Each axis by itself over the whole array, neighbors looked up voxel by voxel.
    fn axis_by_axis(source: &[f32], from: [usize; 3], taps: &[Vec<Tap>; 3]) -> Vec<f32> {
        let mut shape = from;
        let mut values = source.to_vec();
        for axis in 0..3 {
            let old = shape;
            shape[axis] = taps[axis].len();
            let mut next = Vec::new();
            for (x, y, z) in ndarray::indices(shape) {
                let at = [x, y, z];
                let tap = taps[axis][at[axis]];
                let value = |index: usize| {
                    let mut at = at;
                    at[axis] = index;
                    values[(at[0] * old[1] + at[1]) * old[2] + at[2]]
                };
                // The last axis uses both neighbors even where one has weight 0.
                next.push(if tap.high_weight == 0.0 && axis < 2 {
                    value(tap.low)
                } else {
                    tap.mix(value(tap.low), value(tap.high))
                });
            }
            values = next;
        }
        values
    }

    proptest! {
        #[test]
        fn rows_are_those_of_one_axis_after_the_other(
            from in prop::array::uniform3(1..24_usize),
            to in prop::array::uniform3(1..24_usize),
            // A step of exactly one voxel has a code path of its own.
            steps in prop::array::uniform3(prop_oneof![Just(1.0), 0.3..3.0_f64]),
            offsets in prop::array::uniform3(prop_oneof![Just(0.0), -2.0..2.0_f64]),
            nan in any::<prop::sample::Index>(),
        ) {
            let linear = std::array::from_fn(|row| {
                std::array::from_fn(|column| if row == column { steps[row] } else { 0.0 })
            });
            let [from, to] = [(from, Affine::IDENTITY), (to, Affine::from_parts(linear, offsets))]
                .map(|(shape, affine)| Geometry { shape, affine });
            let coordinates = Coordinates::new(&from, &to).unwrap();
            let taps = [0, 1, 2].map(|axis| {
                coordinates.along(axis).map(|c| Tap::new(c, from.shape[axis])).collect::<Vec<_>>()
            });
            let separable = Separable::new(&coordinates, 0.0).unwrap();
            let mut source: Vec<f32> = (0..from.shape.iter().product())
                .map(|index: usize| (index * 7 % 29) as f32 / 3.0 - 4.0)
                .collect();
            *nan.get_mut(&mut source) = f32::NAN;
            let expected = axis_by_axis(&source, from.shape, &taps);
            let mut buffers = LineBuffers::default();
            let mut plane = vec![0.0; to.shape[1] * to.shape[2]];
            for (x, expected) in expected.chunks_exact(plane.len()).enumerate() {
                let planes: Vec<_> = source.chunks_exact(separable.values_per_plane()).collect();
                let neighbors = separable.neighbors(x).map(|x| planes[x]);
                separable.plane(x, neighbors, &mut plane, &mut buffers);
                let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(&plane), bits(expected));
            }
        }
    }
}
