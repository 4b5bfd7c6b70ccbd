//! Resampling of planes that arrive one after the other.

use super::coordinates::Coordinates;
use super::error::ResampleError;
use super::separable::{LineBuffers, Separable};
use super::trilinear::SlabScratch;
use crate::geometry::Geometry;

/// Trilinear resampling of one output plane from the two input planes around it, so that neither grid has to exist as a
/// whole.
pub(crate) struct PlaneSampler {
    separable: Separable,
}

impl PlaneSampler {
    /// Relates two grids; returns `None` where other axes than its own displace an input plane's voxels by more than
    /// `tolerance` voxels, so that an output plane needs more than two planes.
    ///
    /// **Errors**: [`ResampleError`] for unusable affines, empty and overlarge grids.
    pub(crate) fn new(
        from: &Geometry,
        to: &Geometry,
        tolerance: f64,
    ) -> Result<Option<Self>, ResampleError> {
        let separable = Separable::new(&Coordinates::new(from, to)?, tolerance);
        Ok(separable.map(|separable| Self { separable }))
    }

    /// The input planes `[low, high]` that output plane `x` needs; equal where one suffices.
    pub(crate) fn neighbors(&self, x: usize) -> [usize; 2] {
        self.separable.neighbors(x)
    }

    /// Fills the output plane `x` of one channel from its two neighbors, with the values that
    /// [`VolumeSampler`](super::VolumeSampler) gives.
    ///
    /// **Shapes**: `low` and `high` are `[Y, Z]` of the input, `output` is `[Y, Z]` of the output.
    pub(crate) fn plane(
        &self,
        x: usize,
        low: &[f32],
        high: &[f32],
        output: &mut [f32],
        scratch: &mut SlabScratch,
    ) {
        self.separable
            .plane(x, [low, high], output, &mut scratch.buffers);
    }

    /// Gives rows of output plane `x` to `visit`, one after the other, each with all its channels: the values of
    /// [`PlaneSampler::plane`], which stay in the cache, without a plane in memory.
    ///
    /// **Shapes**: `low` and `high` are `[K, Y, Z]` of the input; `visit` takes Y and one slice of Z per channel.
    pub(crate) fn rows(
        &self,
        x: usize,
        rows: std::ops::Range<usize>,
        [low, high]: [&[f32]; 2],
        scratch: &mut RowScratch,
        mut visit: impl FnMut(usize, &[&[f32]]),
    ) {
        let (per_plane, nz) = (
            self.separable.values_per_plane(),
            self.separable.values_per_row(),
        );
        let channels = low.len() / per_plane;
        scratch.rows.resize(channels * nz, 0.0);
        scratch.buffers.resize_with(channels, LineBuffers::default);
        scratch.buffers.iter_mut().for_each(LineBuffers::forget);
        let planes = low
            .chunks_exact(per_plane)
            .zip(high.chunks_exact(per_plane));
        for y in rows {
            let outputs = scratch.rows.chunks_exact_mut(nz);
            for (((low, high), row), buffers) in
                planes.clone().zip(outputs).zip(&mut scratch.buffers)
            {
                self.separable.row([x, y], [low, high], row, buffers);
            }
            let rows: Vec<&[f32]> = scratch.rows.chunks_exact(nz).collect();
            visit(y, &rows);
        }
    }
}

/// Buffers that one thread reuses for rows.
#[derive(Default)]
pub(crate) struct RowScratch {
    buffers: Vec<LineBuffers>,
    rows: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use ndarray::{Array4, s};
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::Affine;
    use crate::resample::VolumeSampler;

    proptest! {
        #[test]
        fn planes_are_those_of_the_volume(
            shapes in prop::array::uniform6(1..20_usize),
            spacing in prop::array::uniform6(0.3..3.0_f64),
            reversed in prop::array::uniform3(any::<bool>()),
            origin in prop::array::uniform3(-3.0..3.0_f64),
            tilt in -2e-7..2e-7_f64,
        ) {
            let sign = |axis: usize| if reversed[axis] { -1.0 } else { 1.0 };
            let diagonal = |mm: [f64; 3]| {
                std::array::from_fn(|row| std::array::from_fn(|column| {
                    if row == column { sign(row) * mm[row] } else { tilt }
                }))
            };
            let [a, b, c, x, y, z] = spacing;
            let from = Geometry { shape: [shapes[0], shapes[1], shapes[2]], affine: Affine::from_parts(diagonal([a, b, c]), [0.0; 3]) };
            let to = Geometry { shape: [shapes[3], shapes[4], shapes[5]], affine: Affine::from_parts(diagonal([x, y, z]), origin) };
            let data = Array4::from_shape_fn((2, shapes[0], shapes[1], shapes[2]), |(c, x, y, z)| {
                ((c * 53 + x * 31 + y * 17 + z * 7) % 29) as f32 / 3.0 - 4.0
            });
            let whole = VolumeSampler::new(data.view(), &from.affine, &to, 1e-4).unwrap().slabs(0, shapes[3]);
            let sampler = PlaneSampler::new(&from, &to, 1e-4).unwrap().unwrap();
            let mut scratch = SlabScratch::default();
            let mut plane = vec![f32::NAN; shapes[4] * shapes[5]];
            for (channel, x) in (0..2).flat_map(|channel| (0..shapes[3]).map(move |x| (channel, x))) {
                let [low, high] = sampler.neighbors(x).map(|x| data.slice(s![channel, x, .., ..]));
                sampler.plane(x, low.as_slice().unwrap(), high.as_slice().unwrap(), &mut plane, &mut scratch);
                let bits = plane.iter().map(|value| value.to_bits());
                prop_assert!(bits.eq(whole.slice(s![channel, x, .., ..]).iter().map(|value| value.to_bits())));
            }
            let first = shapes[4] / 2;
            let mut scratch = RowScratch::default();
            for x in 0..shapes[3] {
                let planes = sampler.neighbors(x).map(|x| data.slice(s![.., x, .., ..]).to_owned());
                let [low, high] = [0, 1].map(|side| planes[side].as_slice().unwrap());
                let mut next = first;
                sampler.rows(x, first..shapes[4], [low, high], &mut scratch, |y, rows| {
                    assert_eq!((y, rows.len()), (next, 2));
                    next += 1;
                    for (channel, row) in rows.iter().enumerate() {
                        let expected = whole.slice(s![channel, x, y, ..]).to_vec();
                        assert_eq!(*row, expected);
                    }
                });
                prop_assert_eq!(next, shapes[4]);
            }
        }
    }

    #[test]
    fn neighbors_enclose_a_plane_and_tilted_grids_have_none() {
        let from = Geometry {
            shape: [4, 2, 2],
            affine: Affine::IDENTITY,
        };
        let spaced = |mm| Affine::from_spacing([mm, 1.0, 1.0]);
        let to = Geometry {
            shape: [9, 2, 2],
            affine: spaced(0.5),
        };
        let sampler = PlaneSampler::new(&from, &to, 0.0).unwrap().unwrap();
        let neighbors: Vec<_> = (0..9).map(|x| sampler.neighbors(x)).collect();
        let expected = [
            [0, 0],
            [0, 1],
            [1, 1],
            [1, 2],
            [2, 2],
            [2, 3],
            [3, 3],
            [3, 3],
            [3, 3],
        ];
        assert_eq!(neighbors, expected);
        let mut tilted = to;
        tilted.affine.0[0][1] = 0.01;
        assert!(PlaneSampler::new(&from, &tilted, 1e-4).unwrap().is_none());
    }
}
