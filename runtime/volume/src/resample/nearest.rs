//! Nearest-neighbor interpolation, one output slab at a time.

use super::coordinates::Coordinates;

/// Looks up the nearest voxel at fixed coordinates; halves round to the even index.
pub(super) enum Nearest {
    /// Each axis has its own table of input indices.
    Separable {
        from: [usize; 3],
        indices: [Vec<usize>; 3],
    },
    /// Every voxel has its own position.
    General(Coordinates),
}

impl Nearest {
    /// Chooses the lookup. Unlike interpolation, rounding has no tolerance: any coupling of axes counts.
    pub(super) fn new(coordinates: Coordinates) -> Self {
        if coordinates.coupling() > 0.0 {
            return Self::General(coordinates);
        }
        let indices = [0, 1, 2].map(|axis| coordinates.along(axis).map(nearest).collect());
        Self::Separable {
            from: coordinates.from,
            indices,
        }
    }

    /// Fills the output slab `[Y, Z]` at `x`.
    pub(super) fn slab<T: Copy>(&self, source: &[T], x: usize, slab: &mut [T]) {
        match self {
            Self::Separable {
                from: [_, ny, nz],
                indices,
            } => {
                for (&y, row) in indices[1]
                    .iter()
                    .zip(slab.chunks_exact_mut(indices[2].len()))
                {
                    let start = (indices[0][x] * ny + y) * nz;
                    let line = &source[start..start + nz];
                    for (value, &z) in row.iter_mut().zip(&indices[2]) {
                        *value = line[z];
                    }
                }
            }
            Self::General(coordinates) => {
                let [_, ny, nz] = coordinates.from;
                let mut positions = Default::default();
                for (y, row) in slab.chunks_exact_mut(coordinates.to[2]).enumerate() {
                    coordinates.row(x, y, &mut positions);
                    let [x, y, z] = &positions;
                    for (((value, &x), &y), &z) in row.iter_mut().zip(x).zip(y).zip(z) {
                        *value = source[(nearest(x) * ny + nearest(y)) * nz + nearest(z)];
                    }
                }
            }
        }
    }
}

/// Index nearest to a coordinate that is not negative.
fn nearest(coordinate: f64) -> usize {
    coordinate.round_ties_even() as usize
}
