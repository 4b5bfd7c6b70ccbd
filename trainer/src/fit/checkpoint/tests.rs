use burn::backend::Autodiff;
use burn::optim::GradientsParams;
use burn_flex::Flex;
use vesal_kernels::Nonlinearity;
use vesal_models::blocks::BatchNorm;

use super::super::tensor_file::write;
use super::*;
use crate::algorithms::Optimizer;

type Training = Autodiff<Flex>;

fn numbers<B: Backend>(tensor: Tensor<B, 1>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn vectors<B: Backend>(norm: &BatchNorm<B>) -> [Vec<f32>; 4] {
    let (mean, variance) = (norm.running_mean.value(), norm.running_var.value());
    [norm.weight.val(), norm.bias.val(), mean, variance].map(numbers)
}

fn step(norm: BatchNorm<Training>, optimizer: &mut GradientDescent<Flex>) -> BatchNorm<Training> {
    let x = Tensor::<Training, 1>::from_floats([1.0, 2.0, 3.0, 6.0], &Default::default());
    let output = norm.forward(x.reshape([4, 1, 1, 1, 1]), Nonlinearity::Relu);
    let gradients = GradientsParams::from_grads(output.sum().backward(), &norm);
    let (norm, _) = optimizer.step::<Training, _>(0.1, norm, gradients, 1.0, true);
    norm
}

const SGD: Optimizer = Optimizer::Sgd { momentum: 0.9 };

/// Running statistics are computed from the batches, not by the optimizer, whose weight decay would shrink them.
#[test]
fn running_statistics_are_kept_and_not_optimized() {
    for optimizer in [Optimizer::ADAMW, SGD] {
        check_statistics(optimizer);
    }
}

fn check_statistics(kind: Optimizer) {
    let device = Default::default();
    let mut optimizer = GradientDescent::<Flex>::new(kind, 0.5, None);
    let norm = step(BatchNorm::new(1, &device), &mut optimizer);
    let [weight, _, mean, variance] = vectors(&norm);
    assert_ne!(weight, [1.0]);
    assert!((mean[0] - 0.3).abs() < 1e-6, "{mean:?}");
    assert!(
        (variance[0] - (0.9 + 1.4 / 3.0)).abs() < 1e-6,
        "{variance:?}"
    );
    assert_eq!(optimizer.states.len(), 2);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(CHECKPOINT_FILE);
    write(&path, &(), &whole_state(&norm, &optimizer)).unwrap();
    let mut resumed_optimizer = GradientDescent::<Flex>::new(kind, 0.5, None);
    let fresh = BatchNorm::<Training>::new(1, &device);
    let resumed = read_checkpoint(&path, fresh, &mut resumed_optimizer, &device).unwrap();
    resumed_optimizer.time = optimizer.time;
    assert_eq!(vectors(&resumed), vectors(&norm));
    // Both networks continue identically.
    let norm = step(norm, &mut optimizer);
    let resumed = step(resumed, &mut resumed_optimizer);
    assert_eq!(vectors(&resumed), vectors(&norm));

    let path = folder.path().join(WEIGHTS_FILE);
    write(&path, &(), &weights(&norm)).unwrap();
    let fresh = BatchNorm::<Training>::new(1, &device);
    let read = read_weights(&path, fresh, &device).unwrap();
    assert_eq!(vectors(&read), vectors(&norm));
}
