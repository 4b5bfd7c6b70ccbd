//! Batch normalization updates its running statistics, and stores them with its weights.

use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, backend::Backend};
use burn_flex::Flex;
use burn_store::ModuleSnapshot;
use vesal_kernels::Nonlinearity;
use vesal_models::blocks::BatchNorm;

type Training = Autodiff<Flex>;

/// Mean 3, population variance 3.5, sample variance 14 / 3.
fn batch<B: Backend>() -> Tensor<B, 5> {
    let values = Tensor::<B, 1>::from_floats([1.0, 2.0, 3.0, 6.0], &Default::default());
    values.reshape([2, 1, 2, 1, 1])
}

fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn running<B: Backend>(norm: &BatchNorm<B>) -> [f32; 2] {
    [&norm.running_mean, &norm.running_var].map(|statistic| values(statistic.value())[0])
}

#[track_caller]
fn assert_close(actual: &[f32], expected: &[f32]) {
    assert_eq!(actual.len(), expected.len());
    let pairs = actual.iter().zip(expected);
    let close = pairs.into_iter().all(|(a, e)| (a - e).abs() <= 1e-5);
    assert!(close, "{actual:?} instead of {expected:?}");
}

const AFTER_ONE: [f32; 2] = [0.3, 0.9 + 1.4 / 3.0];

#[test]
fn training_updates_what_inference_normalizes_by() {
    let norm = BatchNorm::<Training>::new(1, &Default::default());
    let deviation = 3.50001_f32.sqrt();
    let output = values(norm.forward(batch(), Nonlinearity::Relu));
    assert_close(&output, &[0.0, 0.0, 0.0, 3.0 / deviation]);
    assert_close(&running(&norm), &AFTER_ONE);

    let norm = norm.valid();
    let output = values(norm.forward(batch(), Nonlinearity::Identity));
    let [mean, variance] = AFTER_ONE;
    let expected = [1.0, 2.0, 3.0, 6.0].map(|x| (x - mean) / (variance + 1e-5).sqrt());
    assert_close(&output, &expected);
    assert_close(&running(&norm), &AFTER_ONE);
}

#[test]
fn a_copy_has_statistics_of_its_own() {
    let device = Default::default();
    let norm = BatchNorm::<Training>::new(1, &device);
    let copy = norm.clone().to_device(&device);
    norm.forward(batch(), Nonlinearity::Identity);
    assert_close(&running(&copy), &[0.0, 1.0]);
    copy.forward(batch::<Training>().add_scalar(1.0), Nonlinearity::Identity);
    assert_close(&running(&norm), &AFTER_ONE);
    assert_close(&running(&copy), &[0.4, AFTER_ONE[1]]);
}

#[test]
fn names_are_those_of_pytorch() {
    let norm = BatchNorm::<Flex>::new(3, &Default::default());
    let snapshots = norm.collect(None, None, true);
    let names: Vec<_> = snapshots.iter().map(|tensor| tensor.full_path()).collect();
    assert_eq!(names, ["weight", "bias", "running_mean", "running_var"]);
}

#[test]
fn records_and_files_of_weights_keep_the_statistics() {
    let device = Default::default();
    let norm = BatchNorm::<Training>::new(1, &device);
    norm.forward(batch(), Nonlinearity::Identity);
    let fresh = || BatchNorm::<Training>::new(1, &device);
    let loaded = fresh().load_record(norm.clone().into_record());
    assert_close(&running(&loaded), &AFTER_ONE);
    let mut applied = fresh();
    applied.apply(norm.collect(None, None, true), None, None, true);
    assert_close(&running(&applied), &AFTER_ONE);
}

/// Marks every tensor as requiring a gradient, as a copy of initial weights does.
struct Trainable;

impl<B: Backend> ModuleMapper<B> for Trainable {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = Tensor::from_data(tensor.into_data(), &Default::default());
        Param::from_mapped_value(id, tensor.require_grad(), mapper)
    }
}

/// Which parameters have a gradient.
struct Learned<'a>(&'a mut GradientsParams, Vec<bool>);

impl ModuleVisitor<Training> for Learned<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Training, D>>) {
        self.1.push(self.0.remove::<Flex, D>(param.id).is_some());
    }
}

#[test]
fn statistics_have_no_gradient() {
    let norm = BatchNorm::<Training>::new(1, &Default::default()).map(&mut Trainable);
    for _ in 0..2 {
        let output = norm.forward(batch(), Nonlinearity::Identity);
        let gradients = output.powi_scalar(2).sum().backward();
        let mut gradients = GradientsParams::from_grads(gradients, &norm);
        let mut learned = Learned(&mut gradients, Vec::new());
        norm.visit(&mut learned);
        assert_eq!(learned.1, [true, true, false, false]);
    }
}
