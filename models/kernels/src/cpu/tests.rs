mod batch_norm;
mod resizing;
mod transformer;

use burn::backend::Autodiff;
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;

use crate::backend_ops::BackendOps;
use crate::differentiable_ops::{
    add_leaky_relu, conv, conv_transpose, dice_ce, dice_focal, instance_norm, leaky_relu,
};
use crate::geometry::ConvGeometry;
use crate::nonlinearity::Nonlinearity;
use crate::testing::{self, Numbers, float, int, values};

const TOLERANCE: f32 = 1e-5;

#[test]
fn convolutions_equal_the_reference() {
    testing::check_convolutions::<Flex>(TOLERANCE);
    testing::check_permuted_convolution::<Flex>(TOLERANCE);
}

#[test]
fn instance_normalization_equals_the_reference() {
    testing::check_instance_norm::<Flex>(TOLERANCE);
}

#[test]
fn losses_equal_the_reference() {
    testing::check_dice_ce::<Flex>(TOLERANCE);
    testing::check_dice_focal::<Flex>(TOLERANCE);
}

#[test]
fn optimizers_equal_the_reference() {
    testing::check_squared_norm::<Flex>(TOLERANCE);
    testing::check_adamw::<Flex>(TOLERANCE);
    testing::check_sgd::<Flex>(TOLERANCE);
}

#[test]
fn leaky_relus_equal_plain_loops() {
    testing::check_leaky_relu::<Flex>(TOLERANCE);
}

#[test]
fn classes_out_of_range_count_for_no_class() {
    let logits = Numbers::new(1).floats([1, 1, 1, 4, 3]);
    let loss = |classes: [i32; 4]| {
        let classes = TensorData::new(classes.to_vec(), [1, 1, 1, 4]);
        let computed = Flex::dice_ce(float::<Flex>(&logits), int::<Flex>(&classes));
        Flex::dice_ce_gradient(
            float::<Flex>(&logits),
            int::<Flex>(&classes),
            computed.sums.clone(),
            float::<Flex>(&TensorData::from([1.0_f32])),
        );
        values::<Flex>(computed.sums)[6..].to_vec()
    };
    assert_eq!(loss([0, 1, 3, -1]), [1.0, 1.0, 0.0]);
    assert_eq!(loss([i32::MIN, i32::MAX, 2, 2]), [0.0, 0.0, 2.0]);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let compute = || {
        let mut numbers = Numbers::new(5);
        let mut results = Vec::new();
        for (shape, k) in [
            ([2, 24, 17, 9, 8], 8),
            ([2, 4, 6, 4, 32], 64),
            ([1, 12, 16, 16, 1], 8),
        ] {
            let [n, x, y, z, c] = shape;
            for stride in [1, 2] {
                let geometry = ConvGeometry {
                    kernel: [3; 3],
                    stride: [stride; 3],
                    padding: [1; 3],
                };
                let [ox, oy, oz] = geometry.output_shape([x, y, z]);
                let input = float::<Flex>(&numbers.floats(shape));
                let weight = float::<Flex>(&numbers.floats([k, c, 3, 3, 3]));
                let gradient = float::<Flex>(&numbers.floats([n, ox, oy, oz, k]));
                let (g, w) = (gradient.clone(), weight.clone());
                results.push(Flex::conv(input.clone(), w.clone(), None, geometry));
                results.push(Flex::conv_input_gradient(g.clone(), w, [x, y, z], geometry));
                results.push(Flex::conv_weight_gradient(input, g, geometry));
                results.push(Flex::bias_gradient(gradient));
            }
            let [input, gradient] = [0; 2].map(|_| float::<Flex>(&numbers.floats(shape)));
            let [weight, bias] = [0; 2].map(|_| float::<Flex>(&numbers.floats([c])));
            let relu = Nonlinearity::Relu;
            let affine = Some([weight, bias]);
            let normalized = Flex::instance_norm(input.clone(), affine.clone(), 1e-5, relu);
            let statistics = normalized.statistics;
            let gradients =
                Flex::instance_norm_gradient(input.clone(), statistics, affine, gradient, relu);
            results.extend([normalized.output, gradients.input]);
            results.extend(gradients.affine.into_iter().flatten());
            let [weight, bias] = [0; 2].map(|_| float::<Flex>(&numbers.floats([c])));
            let (i, w, b) = (input.clone(), weight.clone(), bias.clone());
            let normalized = Flex::batch_norm(i, w, b, 1e-5, relu);
            let upstream = normalized.output.clone();
            let gradients = Flex::batch_norm_gradient(
                input.clone(),
                normalized.statistics.clone(),
                weight,
                bias,
                upstream,
                relu,
            );
            results.extend([normalized.output, normalized.statistics, gradients.input]);
            results.extend(gradients.affine.into_iter().flatten());
            let classes = int::<Flex>(&numbers.classes([n, x, y, z], c));
            results.push(Flex::squared_norm(&results));
            for computed in [
                Flex::dice_ce(input.clone(), classes.clone()),
                Flex::dice_focal(input, classes),
            ] {
                results.extend([computed.loss, computed.sums]);
            }
        }
        let bits = |value: f32| value.to_bits();
        let results = results.into_iter().flat_map(values::<Flex>);
        results.map(bits).collect::<Vec<u32>>()
    };
    let [alone, many] = [1, 5].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads").install(compute)
    });
    assert!(alone == many);
}

type Differentiable = Autodiff<Flex>;

/// Compares gradients of `loss` by each input with central differences.
fn check_gradients<const N: usize>(
    inputs: [TensorData; N],
    loss: impl Fn([Tensor<Differentiable, 1>; N]) -> Tensor<Differentiable, 1>,
) {
    const STEP: f32 = 1e-2;
    let device = Default::default();
    let flat = |data: &TensorData| {
        let values: Vec<f32> = data.iter::<f32>().collect();
        Tensor::<Differentiable, 1>::from_floats(values.as_slice(), &device)
    };
    let tensors = inputs.each_ref().map(|data| flat(data).require_grad());
    let gradients = loss(tensors.clone()).backward();
    for (position, tensor) in tensors.iter().enumerate() {
        let gradient = tensor.grad(&gradients).expect("a gradient").into_data();
        let actual: Vec<f32> = gradient.iter::<f32>().collect();
        let value = |index: usize, step: f32| {
            let mut inputs = inputs.clone();
            let mut values: Vec<f32> = inputs[position].iter::<f32>().collect();
            values[index] += step;
            inputs[position] = TensorData::new(values, inputs[position].shape.clone());
            f64::from(loss(inputs.each_ref().map(flat)).into_scalar())
        };
        let expected: Vec<f32> = (0..actual.len())
            .map(|index| {
                ((value(index, STEP) - value(index, -STEP)) / f64::from(2.0 * STEP)) as f32
            })
            .collect();
        testing::assert_close(&format!("gradient by {position}"), &actual, &expected, 5e-3);
    }
}

/// A number that depends on every value of an output differently.
fn weighted(output: Tensor<Differentiable, 5>) -> Tensor<Differentiable, 1> {
    let data = Numbers::new(99).floats(output.dims());
    let factors = Tensor::from_data(data, &output.device());
    (output * factors).sum()
}

#[test]
fn convolutions_have_the_gradients_of_differences() {
    let mut numbers = Numbers::new(21);
    for (kernel, stride, padding) in [([3; 3], [1; 3], [1; 3]), ([3, 3, 1], [2, 2, 1], [1, 1, 0])] {
        let geometry = ConvGeometry {
            kernel,
            stride,
            padding,
        };
        let [kx, ky, kz] = kernel;
        let weights = [3, 2, kx, ky, kz];
        let data = [
            numbers.floats([1, 3, 4, 2, 2]),
            numbers.floats(weights),
            numbers.floats([3]),
        ];
        check_gradients(data, |[x, weight, bias]| {
            let (x, weight) = (x.reshape([1, 3, 4, 2, 2]), weight.reshape(weights));
            weighted(conv(x, weight, Some(bias), geometry))
        });
        let shape = [1, 2, 2, 2, 3];
        let output = geometry.transposed_shape([2; 3], stride.map(|stride| stride - 1));
        check_gradients(
            [numbers.floats(shape), numbers.floats(weights)],
            |[x, weight]| {
                let (x, weight) = (x.reshape(shape), weight.reshape(weights));
                weighted(conv_transpose(x, weight, output, geometry))
            },
        );
    }
}

#[test]
fn normalization_has_the_gradient_of_differences() {
    let shape = [2, 2, 3, 2, 3];
    for nonlinearity in testing::NONLINEARITIES {
        let mut numbers = Numbers::new(4);
        // Shifts that keep every value off the kink.
        let bias = match nonlinearity {
            Nonlinearity::Identity => numbers.floats([3]),
            Nonlinearity::Relu | Nonlinearity::LeakyRelu(_) => {
                TensorData::from([5.0_f32, -5.0, 4.0])
            }
        };
        let x: Vec<f32> = (0..72).map(|_| 3.0 * numbers.float()).collect();
        let data = [TensorData::new(x, shape), numbers.floats([3]), bias];
        check_gradients(data, |[x, weight, bias]| {
            let affine = Some([weight, bias]);
            weighted(instance_norm(x.reshape(shape), affine, 1e-5, nonlinearity))
        });
    }
}

#[test]
fn normalization_without_weights_has_the_gradient_of_differences() {
    let shape = [2, 2, 3, 2, 3];
    check_gradients([Numbers::new(4).floats(shape)], |[x]| {
        weighted(instance_norm(
            x.reshape(shape),
            None,
            1e-5,
            Nonlinearity::Identity,
        ))
    });
}

#[test]
fn leaky_relus_have_the_gradients_of_differences() {
    let mut numbers = Numbers::new(17);
    let shape = [1, 2, 3, 2, 2];
    // Off the kink.
    let values: Vec<f32> = (0..24)
        .map(|i| (0.1 + numbers.float().abs()) * if i % 3 == 0 { -1.0 } else { 1.0 })
        .collect();
    let x = TensorData::new(values, shape);
    let addend = TensorData::new(vec![0.05_f32; 24], shape);
    check_gradients([x.clone()], |[x]| {
        weighted(leaky_relu(x.reshape(shape), 0.3))
    });
    check_gradients([x, addend], |[x, addend]| {
        let (x, addend) = (x.reshape(shape), addend.reshape(shape));
        weighted(add_leaky_relu(x, addend, 0.3))
    });
}

#[test]
#[should_panic(expected = "a slope of -0.1")]
fn a_leaky_relu_that_turns_signs_is_refused() {
    Flex::leaky_relu_sum(float::<Flex>(&TensorData::from([1.0_f32])), None, -0.1);
}

#[test]
fn losses_have_the_gradients_of_differences() {
    let mut numbers = Numbers::new(8);
    let shape = [2, 2, 3, 2, 3];
    let classes = numbers.classes([2, 4, 3, 5], 3);
    for loss in [dice_ce, dice_focal] {
        check_gradients([numbers.floats(shape)], |[logits]| {
            let classes =
                Tensor::<Differentiable, 4, Int>::from_data(classes.clone(), &Default::default());
            loss(logits.reshape(shape), classes)
        });
    }
}
