//! Operations of networks: gradients, and 16-bit activations.

mod cases;

use burn::backend::Autodiff;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor, TensorData};
use burn_flex::Flex;
use cases::{CASES, CHANNELS, Tiny, WINDOW, numbers};
use vesal_models::SegmentationNetwork;

type Differentiable = Autodiff<Flex>;

fn volume<B: Backend>(seed: u64) -> Tensor<B, 5> {
    let [x, y, z] = WINDOW;
    let shape = [2, CHANNELS, x, y, z];
    let data = TensorData::new(numbers(seed, shape.iter().product()), shape);
    Tensor::from_data(data, &Default::default())
}

fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The direction in which a parameter of this number is moved.
fn direction(number: u64, count: usize) -> Vec<f32> {
    numbers(1000 + number, count)
}

/// Moves every parameter along its direction.
struct Move {
    step: f32,
    number: u64,
}

impl<B: Backend> ModuleMapper<B> for Move {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        self.number += 1;
        let dims = param.dims();
        let towards = direction(self.number, dims.iter().product());
        let step = self.step;
        param.map(|tensor| {
            let towards = Tensor::from_data(TensorData::new(towards, dims), &tensor.device());
            tensor + towards * step
        })
    }
}

/// Sums the slopes of all parameters along their directions.
struct Slopes<'a> {
    gradients: &'a <Differentiable as burn::tensor::backend::AutodiffBackend>::Gradients,
    number: u64,
    sum: f64,
    found: usize,
}

impl ModuleVisitor<Differentiable> for Slopes<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Differentiable, D>>) {
        self.number += 1;
        if let Some(gradient) = param.val().grad(self.gradients) {
            assert_eq!(gradient.dims(), param.dims());
            let gradient = values(gradient);
            let towards = direction(self.number, gradient.len());
            let towards: Vec<f64> = towards.into_iter().map(f64::from).collect();
            self.sum += dot(&gradient, &towards);
            self.found += 1;
        }
    }
}

#[test]
fn gradients_are_the_slopes() {
    // Small, because slopes jump at the kink of a rectifier.
    let step = 2e-4;
    for case in CASES {
        let network = Tiny::<Differentiable>::new(case);
        let input = volume::<Differentiable>(1).require_grad();
        let output = network.forward_training(input.clone()).swap_remove(0);
        let count = output.dims().iter().product();
        let weights: Vec<f64> = numbers(2, count).into_iter().map(f64::from).collect();
        let weighted = Tensor::<Differentiable, 5>::from_data(
            TensorData::new(numbers(2, count), output.dims()),
            &Default::default(),
        );
        let gradients = (output * weighted).sum().backward();

        let towards = volume::<Flex>(3);
        let to_input = values(input.grad(&gradients).expect("a gradient of the input"));
        let mut slopes = Slopes {
            gradients: &gradients,
            number: 0,
            sum: dot(&to_input, &values(towards.clone())),
            found: 0,
        };
        network.visit(&mut slopes);

        let at = |step: f32| {
            let moved = network.clone().map(&mut Move { step, number: 0 });
            let towards = Tensor::from_inner(towards.clone());
            let input = volume::<Differentiable>(1) + towards * step;
            dot(
                &values(moved.forward_training(input).swap_remove(0)),
                &weights,
            )
        };
        let expected = (at(step) - at(-step)) / f64::from(2. * step);
        let error = (slopes.sum - expected).abs();
        println!(
            "{case:?}: {} of {} parameters, {expected}",
            slopes.sum, slopes.found
        );
        // Within the step, one or two rectifiers may pass their kink.
        assert!(
            error <= 0.02 * expected.abs() + 0.5,
            "{case:?}: the gradient gives a slope of {}, expected {expected}",
            slopes.sum
        );
    }
}

#[test]
fn activations_of_16_bits_give_nearly_the_same() {
    for case in CASES {
        let network = Tiny::<Flex>::new(case);
        let expected = values(network.forward(volume(1)));
        let found = network.forward(volume::<Flex>(1).cast(FloatDType::F16));
        assert_eq!(found.dtype(), FloatDType::F16.into(), "{case:?}");
        let found = values(found);
        let largest = expected
            .iter()
            .fold(1., |most: f64, value| most.max(value.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            let error = (found - expected).abs();
            assert!(
                error <= 0.02 * largest,
                "{case:?}: {found} in 16 bits, {expected} in 32"
            );
        }
    }
}
