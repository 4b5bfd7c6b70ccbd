//! Trilinear interpolation one axis after the other.

use super::coordinates::Coordinates;

/// Two neighbors along an axis and their weights.
///
/// Both weights are kept: one of 1e-16 must not vanish beside the other, as it tells a voxel at the edge of the
/// foreground from a zero.
#[derive(Clone, Copy)]
pub(super) struct Tap {
    pub(super) low: usize,
    pub(super) high: usize,
    low_weight: f32,
    high_weight: f32,
}

impl Tap {
    pub(super) fn new(coordinate: f64, n: usize) -> Self {
        // Signed: processors convert no unsigned integers.
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

/// Interpolates where every input axis depends on the same output axis alone.
pub(super) struct Separable {
    /// Shape of the input.
    from: [usize; 3],
    /// For each axis, one per output index.
    taps: [Vec<Tap>; 3],
}

/// Buffers of [`Separable`].
#[derive(Default)]
pub(super) struct Buffers {
    plane: Vec<f32>,
    row: Vec<f32>,
}

impl Separable {
    /// Takes the coordinates along each axis, dropping what the others add; `None` where they displace a voxel by more
    /// than `tolerance` voxels.
    pub(super) fn new(coordinates: &Coordinates, tolerance: f64) -> Option<Self> {
        if coordinates.coupling() > tolerance {
            return None;
        }
        let from = coordinates.from;
        let taps = [0, 1, 2].map(|axis| {
            let along = coordinates.along(axis);
            along.map(|c| Tap::new(c, from[axis])).collect()
        });
        Some(Self { from, taps })
    }

    /// Values of one input plane.
    pub(super) fn values_per_plane(&self) -> usize {
        self.from[1] * self.from[2]
    }

    /// The input planes between which output plane `x` lies; one plane twice where it lies on it.
    pub(super) fn neighbors(&self, x: usize) -> [usize; 2] {
        let tap = self.taps[0][x];
        [
            tap.low,
            if tap.high_weight == 0.0 {
                tap.low
            } else {
                tap.high
            },
        ]
    }

    /// Fills the output plane `[Y, Z]` at `x` from its two neighbors.
    pub(super) fn plane(
        &self,
        x: usize,
        low: &[f32],
        high: &[f32],
        output: &mut [f32],
        buffers: &mut Buffers,
    ) {
        let nz = self.from[2];
        let plane = between(low, high, self.taps[0][x], &mut buffers.plane);
        let line = |y: usize| &plane[y * nz..(y + 1) * nz];
        let rows = output.chunks_exact_mut(self.taps[2].len());
        for (&tap, row) in self.taps[1].iter().zip(rows) {
            let line = between(line(tap.low), line(tap.high), tap, &mut buffers.row);
            for (value, tap) in row.iter_mut().zip(&self.taps[2]) {
                *value = tap.mix(line[tap.low], line[tap.high]);
            }
        }
    }
}

/// Interpolates between two arrays of one length; borrows where the weight is zero.
fn between<'a>(low: &'a [f32], high: &[f32], tap: Tap, buffer: &'a mut Vec<f32>) -> &'a [f32] {
    if tap.high_weight == 0.0 {
        return low;
    }
    buffer.clear();
    buffer.extend(low.iter().zip(high).map(|(&low, &high)| tap.mix(low, high)));
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
