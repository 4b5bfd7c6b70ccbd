//! Leaky ReLU of tensors and of sums.

use burn::tensor::DType;
use vesal_kernels::BackendOps;
use vesal_kernels::cuda::Cuda;

use super::truth::Array;
use super::{Checks, Strides};

/// A power of two, by which half precision multiplies without error.
const SLOPE: f32 = 0.125;

fn with(array: &Array, function: impl Fn(usize, f64) -> f64) -> Array {
    let pairs = array.values.iter().enumerate();
    Array {
        shape: array.shape.clone(),
        values: pairs
            .map(|(index, value)| function(index, *value))
            .collect(),
    }
}

impl Checks {
    pub fn leaky_relu(&mut self, shape: [usize; 5], dtype: DType, strides: Strides) {
        let slope = f64::from(SLOPE);
        let tolerance = if dtype == DType::F32 { 1e-6 } else { 1e-3 };
        let [x, addend, gradient] = [1, 2, 3].map(|seed| Array::random(&shape, seed));
        for is_sum in [false, true] {
            let name = format!("{shape:?}, {dtype:?}, {strides:?}, a sum: {is_sum}");
            let plain = match is_sum {
                true => with(&x, |index, value| value + addend.values[index]),
                false => x.clone(),
            };
            let expected = with(&plain, |_, value| value.max(slope * value));
            let own = is_sum.then(|| self.activations(&addend, dtype, strides));
            let y = Cuda::leaky_relu_sum(self.activations(&x, dtype, strides), own, SLOPE);
            self.compare(
                &format!("leaky ReLU {name}"),
                y.clone(),
                &expected,
                tolerance,
            );
            let expected = with(&gradient, |index, value| {
                value
                    * if plain.values[index] > 0.0 {
                        1.0
                    } else {
                        slope
                    }
            });
            let upstream = self.activations(&gradient, dtype, strides);
            let computed = Cuda::leaky_relu_gradient(y, upstream, SLOPE);
            self.compare("  gradient", computed, &expected, tolerance);
        }
    }
}
