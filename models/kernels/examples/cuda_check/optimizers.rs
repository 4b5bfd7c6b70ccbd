//! Steps of optimizers, and the norm that guards them.

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};
use vesal_kernels::cuda::Cuda;
use vesal_kernels::{AdamWStep, BackendOps, Moments, SgdStep, Velocity};

use super::truth::{self, Array};
use super::{Checks, primitive};

/// More tensors than a launch takes, some of less and some of more than a block.
fn shapes() -> Vec<[usize; 5]> {
    let shape = |index: usize| match index % 5 {
        0 => [1, 1, 1, 1, 1 + index],
        1 => [7, 5, 3, 3, 3],
        2 => [32, 32, 3, 3, 1],
        3 => [1, 1, 1, 1, 4096],
        _ => [3, 1, 1, 1, 4097],
    };
    (0..200).map(shape).collect()
}

impl Checks {
    pub fn adamw(&mut self, guard: Option<f32>, max_norm: Option<f32>) {
        let step = AdamWStep {
            rate: 0.01,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            decay: 0.1,
            time: 3,
            gradient_factor: 0.25,
            max_norm,
        };
        let shapes = shapes();
        let mut parameters = Vec::new();
        let mut expected = Vec::new();
        let mut gradients = Vec::new();
        let mut squares = Array::zeros(&[1]);
        for (index, shape) in shapes.iter().enumerate() {
            let seed = 4 * index as u64;
            let arrays = [0, 1, 2, 3].map(|part| Array::random(shape, 10 + seed + part));
            let [w, g, m, mut v] = arrays;
            v.values.iter_mut().for_each(|value| *value = value.abs());
            let [weights, gradient, first, second] =
                [&w, &g, &m, &v].map(|array| primitive(self.tensor::<5>(array)));
            squares.values[0] += g.values.iter().map(|value| value * value).sum::<f64>();
            gradients.push(gradient.clone());
            parameters.push(Moments {
                weights,
                gradient,
                first,
                second,
            });
            let old = [&w, &g, &m, &v].map(|array| array.values.as_slice());
            expected.push(match guard {
                Some(guard) if !guard.is_finite() => [w.values, m.values, v.values],
                _ => truth::adamw(old, step, guard),
            });
        }
        let name = format!("guard {guard:?}, limit {max_norm:?}");
        let norm = Cuda::squared_norm(&gradients);
        self.compare(&format!("squared norm, {name}"), norm, &squares, 1e-5);
        let guard = self.guard(guard);
        let updated = Cuda::adamw(parameters, step, guard);
        self.compare_parts("adamw", &updated, &expected);
    }

    pub fn sgd(&mut self, guard: Option<f32>, max_norm: Option<f32>) {
        let step = SgdStep {
            rate: 0.2,
            momentum: 0.9,
            decay: 0.01,
            gradient_factor: 0.25,
            max_norm,
        };
        let mut parameters = Vec::new();
        let mut expected = Vec::new();
        for (index, shape) in shapes().iter().enumerate() {
            let seed = 4 * index as u64;
            let arrays = [0, 1, 2].map(|part| Array::random(shape, 10 + seed + part));
            let [weights, gradient, velocity] = arrays
                .each_ref()
                .map(|array| primitive(self.tensor::<5>(array)));
            parameters.push(Velocity {
                weights,
                gradient,
                velocity,
            });
            let old = arrays.each_ref().map(|array| array.values.as_slice());
            expected.push(match guard {
                Some(guard) if !guard.is_finite() => {
                    let [w, _, v] = arrays;
                    [w.values, v.values]
                }
                _ => truth::sgd(old, step, guard),
            });
        }
        println!("sgd, guard {guard:?}, limit {max_norm:?}");
        let guard = self.guard(guard);
        let updated = Cuda::sgd(parameters, step, guard);
        self.compare_parts("sgd", &updated, &expected);
    }

    fn guard(&self, guard: Option<f32>) -> Option<FloatTensor<Cuda>> {
        guard.map(|guard| {
            primitive(Tensor::<Cuda, 1>::full([1], 1.0, &self.device).mul_scalar(guard))
        })
    }

    /// Compares weights and states of all parameters.
    fn compare_parts<const N: usize>(
        &mut self,
        name: &str,
        updated: &[[FloatTensor<Cuda>; N]],
        expected: &[[Vec<f64>; N]],
    ) {
        for part in 0..N {
            let tensors = updated.iter().map(|of| {
                let tensor =
                    Tensor::<Cuda, 5>::from_primitive(TensorPrimitive::Float(of[part].clone()));
                let count = tensor.shape().num_elements();
                tensor.reshape([count])
            });
            let whole = Tensor::<Cuda, 1>::cat(tensors.collect(), 0);
            let values: Vec<f64> = expected.iter().flat_map(|of| of[part].clone()).collect();
            let shape = vec![values.len()];
            let truth = Array { shape, values };
            let name = format!("  {name} part {part}");
            self.compare(&name, primitive(whole), &truth, 1e-5);
        }
    }
}
