//! Linear resizing, against plain loops in double precision.

use burn::tensor::DType;
use vesal_kernels::BackendOps;
use vesal_kernels::cuda::Cuda;

use super::truth::Array;
use super::{Checks, Strides};

/// The two inputs of an output along an axis, each with its share.
fn blend(output: usize, from: usize, to: usize) -> [(usize, f64); 2] {
    let place = output as f64 * (from - 1) as f64 / (to - 1).max(1) as f64;
    let low = (place.floor() as usize).min(from - 1);
    let share = place - low as f64;
    [(low, 1.0 - share), ((low + 1).min(from - 1), share)]
}

/// Visits every product of a resizing: indices into input and output, and the factor.
fn products(
    [n, x, y, z, c]: [usize; 5],
    space: [usize; 3],
    mut visit: impl FnMut(usize, usize, f64),
) {
    let outputs: usize = space.iter().product();
    for place in 0..n * outputs {
        let (case, rest) = (place / outputs, place % outputs);
        let [_, b, d] = space;
        let [i, j, k] = [rest / (b * d), rest / d % b, rest % d];
        for (a, along_x) in blend(i, x, space[0]) {
            for (b, along_y) in blend(j, y, space[1]) {
                for (d, along_z) in blend(k, z, space[2]) {
                    let from = (((case * x + a) * y + b) * z + d) * c;
                    for channel in 0..c {
                        let share = along_x * along_y * along_z;
                        visit(from + channel, place * c + channel, share);
                    }
                }
            }
        }
    }
}

impl Checks {
    pub fn resizing(&mut self) {
        for dtype in [DType::F32, DType::F16] {
            for strides in [Strides::Dense, Strides::Permuted, Strides::Sliced] {
                for (shape, space) in [
                    ([2, 3, 4, 5, 16], [6, 8, 10]),
                    ([1, 4, 4, 4, 3], [8, 8, 8]),
                    ([1, 8, 9, 7, 32], [4, 3, 7]),
                    ([3, 1, 2, 1, 8], [3, 7, 1]),
                    ([1, 5, 1, 6, 5], [1, 4, 6]),
                ] {
                    self.resize(shape, space, dtype, strides);
                }
            }
        }
    }

    fn resize(&mut self, shape: [usize; 5], space: [usize; 3], dtype: DType, strides: Strides) {
        let name = format!("{shape:?} → {space:?}, {dtype:?}, {strides:?}");
        let [n, x, y, z, c] = shape;
        let [a, b, d] = space;
        let image = Array::random(&shape, 1);
        let gradient = Array::random(&[n, a, b, d, c], 2);
        let mut output = Array::zeros(&gradient.shape);
        let mut input = Array::zeros(&shape);
        products(shape, space, |from, into, share| {
            output.values[into] += share * image.values[from];
            input.values[from] += share * gradient.values[into];
        });
        let tolerance = if dtype == DType::F32 { 1e-5 } else { 1e-3 };
        let computed = Cuda::resize_linear(self.activations(&image, dtype, strides), space);
        self.compare(&format!("resizing {name}"), computed, &output, tolerance);
        let upstream = self.activations(&gradient, dtype, strides);
        let computed = Cuda::resize_linear_gradient(upstream, [x, y, z]);
        self.compare("  gradient", computed, &input, tolerance);
    }
}
