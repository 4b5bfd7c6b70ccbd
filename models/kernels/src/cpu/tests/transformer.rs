use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;

use super::{Differentiable, TOLERANCE, check_gradients};
use crate::backend_ops::BackendOps;
use crate::row_gather::RowGather;
use crate::testing::{self, AttentionCase, Numbers, float, values};
use crate::transformer::{gather_rows, gelu, layer_norm, linear, window_attention};

#[test]
fn attention_equals_the_reference() {
    testing::check_window_attention::<Flex>(TOLERANCE);
}

#[test]
fn layer_normalization_equals_the_reference() {
    testing::check_layer_norm::<Flex>(TOLERANCE);
}

#[test]
fn gelu_equals_the_reference() {
    testing::check_gelu::<Flex>(TOLERANCE);
}

#[test]
fn gathered_rows_equal_the_reference() {
    testing::check_gather_rows::<Flex>(TOLERANCE);
}

/// Two tokens of one channel: scores of the first are 2 + 1 and 4, which a mask lowers to -96.
#[test]
fn attention_equals_numbers_worked_by_hand() {
    let qkv = TensorData::from([[[1.0_f32, 2.0, 10.0], [0.0, 4.0, 20.0]]]);
    let bias = TensorData::from([[[1.0_f32, 0.0], [0.0, 0.0]]]);
    let attend = |regions: Option<[i32; 2]>| {
        let [qkv, bias] = [&qkv, &bias]
            .map(|data| Tensor::<Flex, 3>::from_data(data.clone(), &Default::default()));
        let regions = regions.map(|regions| {
            Tensor::<Flex, 1, Int>::from_ints(regions, &Default::default()).reshape([1, 2])
        });
        let output = window_attention(qkv, bias, regions).into_data();
        output.iter::<f32>().collect::<Vec<f32>>()
    };
    let e = 1.0_f32.exp();
    let first = (10.0 + 20.0 * e) / (1.0 + e);
    testing::assert_close("together", &attend(None), &[first, 15.0], 1e-6);
    testing::assert_close("in a region", &attend(Some([7, 7])), &[first, 15.0], 1e-6);
    testing::assert_close("apart", &attend(Some([0, 1])), &[10.0, 20.0], 1e-6);
}

/// A number that depends on every value of an output differently.
fn weighted(output: Tensor<Differentiable, 3>) -> Tensor<Differentiable, 1> {
    let data = Numbers::new(99).floats(output.dims());
    let factors = Tensor::from_data(data, &output.device());
    (output * factors).sum()
}

#[test]
fn attention_has_the_gradient_of_differences() {
    let mut numbers = Numbers::new(31);
    let (n, heads, channels) = (5, 2, 4);
    let width = heads * channels;
    let data = [
        numbers.floats([4, n, 3 * width]),
        numbers.floats([heads, n, n]),
    ];
    let regions = TensorData::from([[0_i32, 0, 0, 0, 0], [0, 1, 1, 0, 2]]);
    for masked in [false, true] {
        check_gradients(data.clone(), |[qkv, bias]| {
            let device = qkv.device();
            let regions = masked
                .then(|| Tensor::<Differentiable, 2, Int>::from_data(regions.clone(), &device));
            let qkv = qkv.reshape([4, n, 3 * width]);
            weighted(window_attention(qkv, bias.reshape([heads, n, n]), regions))
        });
    }
}

#[test]
fn linear_maps_equal_numbers_worked_by_hand() {
    let device = Default::default();
    let x = Tensor::<Flex, 2>::from_floats([[1.0, 2.0], [3.0, -1.0]], &device);
    let weight = Tensor::from_floats([[1.0, 10.0], [0.0, 2.0], [-1.0, 1.0]], &device);
    let bias = Tensor::from_floats([0.5, 0.0, 100.0], &device);
    let y = linear(x, weight, Some(bias)).into_data();
    let expected = [21.5, 4.0, 101.0, -6.5, -2.0, 96.0];
    assert_eq!(y.iter::<f32>().collect::<Vec<f32>>(), expected);
}

#[test]
fn linear_maps_have_the_gradient_of_differences() {
    let mut numbers = Numbers::new(8);
    let [x, weight] = [[7, 3], [4, 3]].map(|shape| numbers.floats(shape));
    let bias = numbers.floats([4]);
    let data = [x.clone(), weight.clone(), bias];
    check_gradients(data, |[x, weight, bias]| {
        let y = linear(x.reshape([7, 3]), weight.reshape([4, 3]), Some(bias));
        weighted(y.unsqueeze())
    });
    check_gradients([x, weight], |[x, weight]| {
        weighted(linear(x.reshape([7, 3]), weight.reshape([4, 3]), None).unsqueeze())
    });
}

#[test]
fn layer_normalization_has_the_gradient_of_differences() {
    let mut numbers = Numbers::new(6);
    let shape = [2, 3, 5];
    let data = [
        numbers.floats(shape),
        numbers.floats([5]),
        numbers.floats([5]),
    ];
    check_gradients(data.clone(), |[x, weight, bias]| {
        weighted(layer_norm(x.reshape(shape), Some(weight), Some(bias), 1e-2))
    });
    let [x, _, bias] = data;
    check_gradients([x.clone()], |[x]| {
        weighted(layer_norm(x.reshape(shape), None, None, 1e-2))
    });
    check_gradients([x, bias], |[x, bias]| {
        weighted(layer_norm(x.reshape(shape), None, Some(bias), 1e-2))
    });
}

#[test]
fn gelu_has_the_gradient_of_differences() {
    let x: Vec<f32> = (0..24).map(|i| 0.25 * i as f32 - 3.0).collect();
    check_gradients([TensorData::new(x, [24])], |[x]| {
        weighted(gelu(x.reshape([2, 3, 4])))
    });
}

#[test]
fn gathered_rows_have_the_gradient_of_differences() {
    let gather = RowGather::new::<Differentiable>(&[3, 0, 3, 1], 5, &Default::default());
    check_gradients([Numbers::new(2).floats([2, 5, 3])], |[x]| {
        weighted(gather_rows(x.reshape([2, 5, 3]), &gather))
    });
}

#[test]
fn transformers_do_not_depend_on_the_number_of_threads() {
    let compute = || {
        let mut numbers = Numbers::new(17);
        let mut results = Vec::new();
        for (cases, n, heads, channels) in [(2, 64, 3, 16), (7, 27, 1, 4), (1, 30, 24, 16)] {
            let case = AttentionCase {
                cases,
                in_case: 5,
                n,
                heads,
                channels,
                has_regions: true,
            };
            let data = case.data(&mut numbers);
            let (qkv, bias, regions) = (
                float::<Flex>(&data.qkv),
                float::<Flex>(&data.bias),
                data.regions::<Flex>(),
            );
            let attended = Flex::window_attention(qkv.clone(), bias.clone(), regions.clone());
            results.extend([attended.output.clone(), attended.log_sums.clone()]);
            let gradient = float::<Flex>(&data.gradient);
            let gradients = Flex::window_attention_gradient(qkv, bias, regions, attended, gradient);
            results.extend([gradients.qkv, gradients.bias]);
        }
        let [x, gradient] = [0; 2].map(|_| float::<Flex>(&numbers.floats([3, 1000, 48])));
        let [weight, bias] = [0; 2].map(|_| float::<Flex>(&numbers.floats([48])));
        let affine = Some([weight.clone(), bias]);
        results.push(<Flex as BackendOps>::layer_norm(x.clone(), affine, 1e-5));
        let gradients = Flex::layer_norm_gradient(x.clone(), Some(weight), gradient.clone(), 1e-5);
        results.push(gradients.input);
        results.extend(gradients.affine.into_iter().flatten());
        results.push(<Flex as BackendOps>::gelu(x.clone()));
        results.push(Flex::gelu_gradient(x, gradient.clone()));
        let indices: Vec<usize> = (0..1000).map(|output| output * output % 37).collect();
        let gather = RowGather::new::<Flex>(&indices, 40, &Default::default());
        results.push(Flex::gather_rows_gradient(gradient, &gather));
        let results = results.into_iter().flat_map(values::<Flex>);
        results.map(f32::to_bits).collect::<Vec<u32>>()
    };
    let [alone, many] = [1, 5].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads").install(compute)
    });
    assert!(alone == many);
}
