//! Exact Euclidean distance transform in linear time.

use ndarray::{Array3, ArrayViewMut2, Axis};
use rayon::prelude::*;

/// Number of lines that are transformed together, so that strided memory is read in whole cache lines.
const BLOCK: usize = 16;

/// Computes the squared distance in mm² from every voxel to the nearest site; infinite where there is no site.
///
/// **Shapes and units**: `sites` is `[X, Y, Z]`, `spacing` in mm.
///
/// **Source**: Felzenszwalb and Huttenlocher 2012, "Distance Transforms of Sampled Functions": the lower envelope of
/// parabolas along one axis after the other.
pub(super) fn squared_distances(sites: &Array3<bool>, spacing: [f64; 3]) -> Array3<f64> {
    let mut squares = sites.mapv(|site| if site { 0.0 } else { f64::INFINITY });
    // Lines along Z and Y lie in one X plane, those along X in one Y plane.
    let planes: Vec<_> = squares.axis_iter_mut(Axis(0)).collect();
    planes
        .into_par_iter()
        .for_each_init(DistanceScratch::default, |scratch, mut plane| {
            scratch.transform_lines(plane.view_mut().reversed_axes(), spacing[2]);
            scratch.transform_lines(plane, spacing[1]);
        });
    let planes: Vec<_> = squares.axis_iter_mut(Axis(1)).collect();
    planes
        .into_par_iter()
        .for_each_init(DistanceScratch::default, |scratch, plane| {
            scratch.transform_lines(plane, spacing[0])
        });
    squares
}

/// Buffers for a block of lines and the lower envelope of one.
#[derive(Default)]
struct DistanceScratch {
    lines: Vec<f64>,
    envelope: Envelope,
}

impl DistanceScratch {
    /// Transforms every line along the first axis, in place.
    fn transform_lines(&mut self, mut plane: ArrayViewMut2<'_, f64>, spacing: f64) {
        let length = plane.dim().0;
        for mut block in plane.axis_chunks_iter_mut(Axis(1), BLOCK) {
            self.lines.clear();
            self.lines.resize(length * block.dim().1, 0.0);
            for (index, row) in block.outer_iter().enumerate() {
                for (line, value) in self.lines.chunks_exact_mut(length).zip(row) {
                    line[index] = *value;
                }
            }
            for line in self.lines.chunks_exact_mut(length) {
                self.envelope.transform(line, spacing);
            }
            for (index, row) in block.outer_iter_mut().enumerate() {
                for (line, value) in self.lines.chunks_exact(length).zip(row) {
                    *value = line[index];
                }
            }
        }
    }
}

/// One parabola of a lower envelope.
#[derive(Clone, Copy)]
struct Parabola {
    /// Position of the apex in voxels.
    apex: f64,
    /// Height of the apex in mm².
    height: f64,
    /// Position from which it is the lowest, in voxels.
    from: f64,
}

/// The lower envelope of parabolas, left to right.
#[derive(Default)]
struct Envelope(Vec<Parabola>);

impl Envelope {
    /// Replaces every value by the smallest of `value(i) + (spacing * distance to i)²`.
    fn transform(&mut self, line: &mut [f64], spacing: f64) {
        let Self(parabolas) = self;
        let steepness = spacing * spacing;
        parabolas.clear();
        for (index, &height) in line
            .iter()
            .enumerate()
            .filter(|(_, height)| height.is_finite())
        {
            let apex = index as f64;
            let mut from = f64::NEG_INFINITY;
            while let Some(last) = parabolas.last() {
                // The mean of the apexes plus a correction, not a difference of squares: exact for large volumes.
                from = (apex + last.apex) / 2.0
                    + (height - last.height) / (2.0 * steepness * (apex - last.apex));
                if from > last.from {
                    break;
                }
                parabolas.pop();
                from = f64::NEG_INFINITY;
            }
            parabolas.push(Parabola { apex, height, from });
        }
        let mut remaining = parabolas.iter().peekable();
        let Some(mut lowest) = remaining.next() else {
            return;
        };
        for (index, value) in line.iter_mut().enumerate() {
            let position = index as f64;
            while let Some(next) = remaining.next_if(|next| next.from < position) {
                lowest = next;
            }
            let distance = position - lowest.apex;
            *value = lowest.height + steepness * distance * distance;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn brute_force(sites: &Array3<bool>, spacing: [f64; 3]) -> Array3<f64> {
        Array3::from_shape_fn(sites.dim(), |(x, y, z)| {
            sites
                .indexed_iter()
                .filter(|(_, site)| **site)
                .map(|((i, j, k), _)| {
                    [(x, i), (y, j), (z, k)]
                        .into_iter()
                        .zip(spacing)
                        .map(|((a, b), mm)| ((a as f64 - b as f64) * mm).powi(2))
                        .sum()
                })
                .fold(f64::INFINITY, f64::min)
        })
    }

    #[test]
    fn without_sites_everything_is_infinitely_far() {
        let distances = squared_distances(&Array3::from_elem((2, 3, 4), false), [1.0; 3]);
        assert!(distances.iter().all(|distance| *distance == f64::INFINITY));
    }

    #[test]
    fn one_site_is_far_by_spacing() {
        let mut sites = Array3::from_elem((20, 1, 3), false);
        sites[[0, 0, 1]] = true;
        let distances = squared_distances(&sites, [0.5, 7.0, 3.0]);
        assert_eq!(distances[[19, 0, 1]], 9.5 * 9.5);
        assert_eq!(distances[[4, 0, 2]], 4.0 + 9.0);
    }

    proptest! {
        #[test]
        fn equals_the_search_over_all_sites(
            shape in (1..9usize, 1..20usize, 1..9usize),
            spacing in prop::array::uniform3(0.1..6.0f64),
            density in 0.0..0.3f64,
            seed in any::<u64>(),
        ) {
            let mut state = seed;
            let sites = Array3::from_shape_simple_fn(shape, || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as f64 / ((1u64 << 31) as f64) < density
            });
            let fast = squared_distances(&sites, spacing);
            for (fast, slow) in fast.iter().zip(&brute_force(&sites, spacing)) {
                prop_assert!(fast == slow || (fast - slow).abs() <= 1e-9 * slow, "{fast} is not {slow}");
            }
        }
    }
}
