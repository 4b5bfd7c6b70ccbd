//! Trilinear interpolation, one output slab at a time.

use super::coordinates::Coordinates;

/// Two neighbors along an axis and their weights.
///
/// Both weights are kept: one of 1e-16 must not vanish beside the other, as it tells a voxel at the edge of the
/// foreground from a zero.
#[derive(Clone, Copy)]
pub(super) struct Tap {
    low: usize,
    high: usize,
    low_weight: f32,
    high_weight: f32,
}

impl Tap {
    fn new(coordinate: f64, n: usize) -> Self {
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
    fn mix(self, low: f32, high: f32) -> f32 {
        low * self.low_weight + high * self.high_weight
    }
}

/// Buffers that one thread reuses from slab to slab.
#[derive(Default)]
pub(super) struct Scratch {
    plane: Vec<f32>,
    row: Vec<f32>,
    coordinates: [Vec<f64>; 3],
}

/// Interpolates at fixed coordinates.
pub(super) enum Trilinear {
    /// Axes are interpolated one after the other.
    Separable {
        from: [usize; 3],
        taps: [Vec<Tap>; 3],
    },
    /// Every voxel has its own eight neighbors.
    General(Coordinates),
}

impl Trilinear {
    /// Chooses how to interpolate: off-axis displacements of up to `tolerance` voxels are dropped.
    pub(super) fn new(coordinates: Coordinates, tolerance: f64) -> Self {
        if coordinates.coupling() > tolerance {
            return Self::General(coordinates);
        }
        let from = coordinates.from;
        let taps = [0, 1, 2].map(|axis| {
            coordinates
                .along(axis)
                .map(|c| Tap::new(c, from[axis]))
                .collect()
        });
        Self::Separable { from, taps }
    }

    /// Fills the output slab `[Y, Z]` at `x` from one channel of the input.
    pub(super) fn slab(&self, source: &[f32], x: usize, slab: &mut [f32], scratch: &mut Scratch) {
        match self {
            Self::Separable { from, taps } => {
                let plane = between(source, from[1] * from[2], taps[0][x], &mut scratch.plane);
                for (&tap, row) in taps[1].iter().zip(slab.chunks_exact_mut(taps[2].len())) {
                    let line = between(plane, from[2], tap, &mut scratch.row);
                    for (value, tap) in row.iter_mut().zip(&taps[2]) {
                        *value = tap.mix(line[tap.low], line[tap.high]);
                    }
                }
            }
            Self::General(coordinates) => {
                for (y, row) in slab.chunks_exact_mut(coordinates.to[2]).enumerate() {
                    coordinates.row(x, y, &mut scratch.coordinates);
                    let [x, y, z] = &scratch.coordinates;
                    for (((value, &x), &y), &z) in row.iter_mut().zip(x).zip(y).zip(z) {
                        *value = eight(source, coordinates.from, [x, y, z]);
                    }
                }
            }
        }
    }
}

/// Interpolates between two chunks of `length` values; borrows where the weight is zero.
fn between<'a>(source: &'a [f32], length: usize, tap: Tap, buffer: &'a mut Vec<f32>) -> &'a [f32] {
    let low = &source[tap.low * length..(tap.low + 1) * length];
    if tap.high_weight == 0.0 {
        return low;
    }
    let high = &source[tap.high * length..(tap.high + 1) * length];
    buffer.clear();
    buffer.extend(low.iter().zip(high).map(|(&low, &high)| tap.mix(low, high)));
    buffer
}

/// Interpolates between the eight neighbors of a position.
fn eight(source: &[f32], [nx, ny, nz]: [usize; 3], [x, y, z]: [f64; 3]) -> f32 {
    let (x, y, z) = (Tap::new(x, nx), Tap::new(y, ny), Tap::new(z, nz));
    let line = |x: usize, y: usize| {
        let start = (x * ny + y) * nz;
        let line = &source[start..start + nz];
        z.mix(line[z.low], line[z.high])
    };
    let plane = |x: usize| y.mix(line(x, y.low), line(x, y.high));
    x.mix(plane(x.low), plane(x.high))
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
