//! Trilinear interpolation, one output slab at a time.

use super::coordinates::Coordinates;
use super::separable::{LineBuffers, Separable, Tap};

/// Buffers that one thread reuses from slab to slab.
#[derive(Default)]
pub(crate) struct SlabScratch {
    pub(super) buffers: LineBuffers,
    coordinates: [Vec<f64>; 3],
}

/// Interpolates at fixed coordinates.
pub(super) enum Trilinear {
    /// Axes are interpolated one after the other.
    Separable(Separable),
    /// Every voxel has its own eight neighbors.
    General(Coordinates),
}

impl Trilinear {
    /// Chooses how to interpolate: off-axis displacements of up to `tolerance` voxels are dropped.
    pub(super) fn new(coordinates: Coordinates, tolerance: f64) -> Self {
        match Separable::new(&coordinates, tolerance) {
            Some(separable) => Self::Separable(separable),
            None => Self::General(coordinates),
        }
    }

    /// Fills the output slab `[Y, Z]` at `x` from one channel of the input.
    pub(super) fn slab(
        &self,
        source: &[f32],
        x: usize,
        slab: &mut [f32],
        scratch: &mut SlabScratch,
    ) {
        match self {
            Self::Separable(separable) => {
                let per_plane = separable.values_per_plane();
                let neighbors = separable
                    .neighbors(x)
                    .map(|x| &source[x * per_plane..(x + 1) * per_plane]);
                separable.plane(x, neighbors, slab, &mut scratch.buffers);
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
