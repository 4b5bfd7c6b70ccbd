//! Operations of transformers.

use burn::tensor::ops::IntTensor;
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;

use super::{Numbers, assert_close, float, values};
use crate::backend_ops::BackendOps;
use crate::reference;
use crate::row_gather::RowGather;

/// Sizes of an attention to test.
#[derive(Debug, Clone, Copy)]
pub struct AttentionCase {
    pub cases: usize,
    pub in_case: usize,
    pub n: usize,
    pub heads: usize,
    pub channels: usize,
    pub has_regions: bool,
}

/// Inputs of an attention, and a gradient of its output.
pub struct AttentionData {
    pub qkv: TensorData,
    pub bias: TensorData,
    regions: Option<TensorData>,
    pub gradient: TensorData,
}

impl AttentionCase {
    pub fn data(&self, numbers: &mut Numbers) -> AttentionData {
        let windows = self.cases * self.in_case;
        let width = self.heads * self.channels;
        // Scores of about ±10, so that probabilities differ.
        let mut scaled = |shape: [usize; 3], scale: f32| {
            let values: Vec<f32> = (0..shape.iter().product())
                .map(|_| scale * numbers.float())
                .collect();
            TensorData::new(values, shape)
        };
        let qkv = scaled([windows, self.n, 3 * width], 3.0);
        let bias = scaled([self.heads, self.n, self.n], 2.0);
        let gradient = scaled([windows, self.n, width], 1.0);
        let regions = self.has_regions.then(|| {
            let regions = numbers.classes([1, 1, self.in_case, self.n], 3);
            TensorData::new(regions.iter::<i32>().collect(), [self.in_case, self.n])
        });
        AttentionData {
            qkv,
            bias,
            regions,
            gradient,
        }
    }
}

impl AttentionData {
    pub fn regions<B: BackendOps>(&self) -> Option<IntTensor<B>> {
        self.regions.as_ref().map(|regions| {
            Tensor::<B, 2, Int>::from_data(regions.clone(), &B::Device::default()).into_primitive()
        })
    }
}

/// Attention within windows, and its gradients.
pub fn check_window_attention<B: BackendOps>(tolerance: f32) {
    let sizes = [
        (2, 1, 5, 3, 4),
        (2, 2, 8, 3, 4),
        (1, 3, 17, 2, 20),
        (3, 2, 64, 3, 4),
        (1, 2, 64, 3, 16),
        (1, 2, 70, 1, 64),
        (1, 30, 9, 1, 8),
        (2, 1, 343, 3, 16),
    ];
    for (cases, in_case, n, heads, channels) in sizes {
        for has_regions in [false, true] {
            let case = AttentionCase {
                cases,
                in_case,
                n,
                heads,
                channels,
                has_regions,
            };
            let what = |of: &str| format!("{of} of {case:?}");
            let data = case.data(&mut Numbers::new(n as u64));
            let (qkv, bias) = (float::<B>(&data.qkv), float::<B>(&data.bias));
            let actual = B::window_attention(qkv.clone(), bias.clone(), data.regions::<B>());
            let (exact_qkv, exact_bias) = (float::<Flex>(&data.qkv), float::<Flex>(&data.bias));
            let expected = reference::window_attention::<Flex>(
                exact_qkv.clone(),
                exact_bias.clone(),
                data.regions::<Flex>(),
            );
            let pairs = [
                ("output", actual.output.clone(), expected.output.clone()),
                ("sums", actual.log_sums.clone(), expected.log_sums.clone()),
            ];
            for (of, actual, expected) in pairs {
                let expected = values::<Flex>(expected);
                assert_close(&what(of), &values::<B>(actual), &expected, tolerance);
            }
            let actual = B::window_attention_gradient(
                qkv,
                bias,
                data.regions::<B>(),
                actual,
                float::<B>(&data.gradient),
            );
            let expected = reference::window_attention_gradient::<Flex>(
                exact_qkv,
                exact_bias,
                data.regions::<Flex>(),
                expected,
                float::<Flex>(&data.gradient),
            );
            let pairs = [
                ("gradient", actual.qkv, expected.qkv),
                ("bias gradient", actual.bias, expected.bias),
            ];
            for (of, actual, expected) in pairs {
                let expected = values::<Flex>(expected);
                assert_close(&what(of), &values::<B>(actual), &expected, 5.0 * tolerance);
            }
        }
    }
}

/// Layer normalization with and without weights, and its gradients.
pub fn check_layer_norm<B: BackendOps>(tolerance: f32) {
    for shape in [
        [1, 1, 1],
        [2, 3, 5],
        [3, 7, 48],
        [1, 70, 384],
        [2, 300, 96],
        [1, 2, 1000],
    ] {
        let c = shape[2];
        let mut numbers = Numbers::new(c as u64);
        let [x, gradient] = [shape; 2].map(|shape| numbers.floats(shape));
        let [weight, bias] = [[c]; 2].map(|shape| numbers.floats(shape));
        // Away from zero, where squares cancel if summed about it.
        let x = TensorData::new(x.iter::<f32>().map(|x| x + 10.0).collect(), shape);
        for has_weights in [false, true] {
            let what = |of: &str| format!("{of} of {shape:?}, weights {has_weights}");
            let affine = has_weights.then(|| [float::<B>(&weight), float::<B>(&bias)]);
            let actual = <B as BackendOps>::layer_norm(float::<B>(&x), affine, 1e-5);
            let affine = has_weights.then(|| [float::<Flex>(&weight), float::<Flex>(&bias)]);
            let expected = reference::layer_norm::<Flex>(float::<Flex>(&x), affine, 1e-5);
            let expected = values::<Flex>(expected);
            assert_close(
                &what("output"),
                &values::<B>(actual),
                &expected,
                20.0 * tolerance,
            );
            let actual = B::layer_norm_gradient(
                float::<B>(&x),
                has_weights.then(|| float::<B>(&weight)),
                float::<B>(&gradient),
                1e-5,
            );
            let expected = reference::layer_norm_gradient::<Flex>(
                float::<Flex>(&x),
                has_weights.then(|| float::<Flex>(&weight)),
                float::<Flex>(&gradient),
                1e-5,
            );
            let mut pairs = vec![(actual.input, expected.input)];
            assert_eq!(actual.affine.is_some(), has_weights);
            let affine = actual.affine.into_iter().flatten();
            pairs.extend(affine.zip(expected.affine.into_iter().flatten()));
            for (actual, expected) in pairs {
                let expected = values::<Flex>(expected);
                let actual = values::<B>(actual);
                assert_close(&what("gradient"), &actual, &expected, 20.0 * tolerance);
            }
        }
    }
}

/// GELU and its gradient, far into both tails.
pub fn check_gelu<B: BackendOps>(tolerance: f32) {
    let mut numbers = Numbers::new(3);
    let x: Vec<f32> = (0..5003).map(|i| (i as f32 - 2500.0) / 200.0).collect();
    let x = TensorData::new(x, [1, 5003]);
    let gradient = numbers.floats([1, 5003]);
    let actual = <B as BackendOps>::gelu(float::<B>(&x));
    let expected = values::<Flex>(reference::gelu::<Flex>(float::<Flex>(&x)));
    assert_close("gelu", &values::<B>(actual), &expected, tolerance);
    let actual = B::gelu_gradient(float::<B>(&x), float::<B>(&gradient));
    let expected = reference::gelu_gradient::<Flex>(float::<Flex>(&x), float::<Flex>(&gradient));
    let expected = values::<Flex>(expected);
    assert_close("gelu gradient", &values::<B>(actual), &expected, tolerance);
}

/// Rows at indices, some read never and some often, and their gradients.
pub fn check_gather_rows<B: BackendOps>(tolerance: f32) {
    for (cases, rows, outputs, channels) in [
        (1, 1, 1, 1),
        (2, 7, 30, 3),
        (2, 40, 900, 16),
        (1, 50, 20, 48),
        (3, 5, 700, 300),
    ] {
        let what = format!("{outputs} of {rows} rows of {channels}");
        let mut numbers = Numbers::new(rows as u64);
        let x = numbers.floats([cases, rows, channels]);
        let gradient = numbers.floats([cases, outputs, channels]);
        // A third of the outputs read the last row.
        let picked = numbers.classes([1, 1, 1, outputs], 3 * rows);
        let indices: Vec<usize> = picked
            .iter::<i32>()
            .map(|i| (i as usize / 2).min(rows - 1))
            .collect();
        let gather = RowGather::new::<B>(&indices, rows, &B::Device::default());
        let exact = RowGather::new::<Flex>(&indices, rows, &Default::default());
        let actual = values::<B>(B::gather_rows(float::<B>(&x), &gather));
        let expected = reference::gather_rows::<Flex>(float::<Flex>(&x), &exact);
        assert_eq!(actual, values::<Flex>(expected), "{what}");
        let actual = B::gather_rows_gradient(float::<B>(&gradient), &gather);
        let expected = reference::gather_rows_gradient::<Flex>(float::<Flex>(&gradient), &exact);
        let expected = values::<Flex>(expected);
        assert_close(&what, &values::<B>(actual), &expected, tolerance);
    }
}
