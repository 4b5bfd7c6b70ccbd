//! Operations of transformers, against plain loops in double precision.

use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, FloatDType, Int, Tensor, TensorData, TensorPrimitive};
use vesal_kernels::cuda::Cuda;
use vesal_kernels::{BackendOps, RowGather};

use super::truth::Array;
use super::{Checks, Strides, primitive};

const EPSILON: f64 = 1e-5;

/// Sizes of an attention.
#[derive(Debug, Clone, Copy)]
struct Attention {
    cases: usize,
    in_case: usize,
    n: usize,
    heads: usize,
    channels: usize,
}

/// Output, log sums, gradient by queries, keys and values, and gradient by the bias.
fn attention(
    sizes: Attention,
    [qkv, bias, gradient]: [&Array; 3],
    regions: Option<&[i32]>,
) -> [Array; 4] {
    let Attention {
        cases,
        in_case,
        n,
        heads,
        channels,
    } = sizes;
    let (windows, width) = (cases * in_case, heads * channels);
    let scale = (channels as f64).sqrt().recip();
    let mut output = Array::zeros(&[windows, n, width]);
    let mut log_sums = Array::zeros(&[windows, heads, n]);
    let mut to_qkv = Array::zeros(&qkv.shape);
    let mut to_bias = Array::zeros(&bias.shape);
    for window in 0..windows {
        for head in 0..heads {
            let place = |part: usize, token: usize, channel: usize| {
                ((window * n + token) * 3 + part) * width + head * channels + channel
            };
            let out = |token: usize, channel: usize| {
                (window * n + token) * width + head * channels + channel
            };
            for a in 0..n {
                let region = |token: usize| {
                    regions.map_or(0, |regions| regions[window % in_case * n + token])
                };
                let score = |b: usize| {
                    let products = (0..channels)
                        .map(|c| qkv.values[place(0, a, c)] * qkv.values[place(1, b, c)]);
                    let mask = if region(a) == region(b) { 0.0 } else { -100.0 };
                    products.sum::<f64>() * scale + bias.values[(head * n + a) * n + b] + mask
                };
                let scores: Vec<f64> = (0..n).map(score).collect();
                let top = scores.iter().fold(f64::MIN, |a, &b| a.max(b));
                let total: f64 = scores.iter().map(|score| (score - top).exp()).sum();
                log_sums.values[(window * heads + head) * n + a] = top + total.ln();
                let p: Vec<f64> = scores.iter().map(|s| (s - top).exp() / total).collect();
                for c in 0..channels {
                    let sum = (0..n).map(|b| p[b] * qkv.values[place(2, b, c)]).sum();
                    output.values[out(a, c)] = sum;
                }
                let slope = |c: usize| gradient.values[out(a, c)];
                let by_p = |b: usize| {
                    let products = (0..channels).map(|c| slope(c) * qkv.values[place(2, b, c)]);
                    products.sum::<f64>()
                };
                let by_p: Vec<f64> = (0..n).map(by_p).collect();
                let along: f64 = by_p.iter().zip(&p).map(|(slope, p)| slope * p).sum();
                for b in 0..n {
                    let by_score = p[b] * (by_p[b] - along);
                    to_bias.values[(head * n + a) * n + b] += by_score;
                    for c in 0..channels {
                        let (q, k) = (qkv.values[place(0, a, c)], qkv.values[place(1, b, c)]);
                        to_qkv.values[place(0, a, c)] += by_score * k * scale;
                        to_qkv.values[place(1, b, c)] += by_score * q * scale;
                        to_qkv.values[place(2, b, c)] += p[b] * slope(c);
                    }
                }
            }
        }
    }
    [output, log_sums, to_qkv, to_bias]
}

/// Output, gradient by the input, and by weight and bias.
fn layer_norm(x: &Array, affine: Option<[&Array; 2]>, gradient: &Array) -> [Array; 4] {
    let c = x.shape[2];
    let mut output = Array::zeros(&x.shape);
    let mut input = Array::zeros(&x.shape);
    let [mut to_weight, mut to_bias] = [0; 2].map(|_| Array::zeros(&[c]));
    for first in (0..x.values.len()).step_by(c) {
        let row = &x.values[first..first + c];
        let mean = row.iter().sum::<f64>() / c as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / c as f64;
        let inverse = (variance + EPSILON).sqrt().recip();
        let normalized: Vec<f64> = row.iter().map(|x| (x - mean) * inverse).collect();
        let weight = |i: usize| affine.map_or(1.0, |[weight, _]| weight.values[i]);
        let slope = |i: usize| gradient.values[first + i] * weight(i);
        let total = (0..c).map(slope).sum::<f64>() / c as f64;
        let along = (0..c).map(|i| slope(i) * normalized[i]).sum::<f64>() / c as f64;
        for (i, &normalized) in normalized.iter().enumerate() {
            let shift = affine.map_or(0.0, |[_, bias]| bias.values[i]);
            output.values[first + i] = normalized * weight(i) + shift;
            input.values[first + i] = (slope(i) - total - normalized * along) * inverse;
            to_weight.values[i] += gradient.values[first + i] * normalized;
            to_bias.values[i] += gradient.values[first + i];
        }
    }
    [output, input, to_weight, to_bias]
}

/// The error function.
///
/// **Source**: its Maclaurin series.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for k in 1..100 {
        term *= -x * x / f64::from(k);
        sum += term / f64::from(2 * k + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

impl Checks {
    /// Activations of three axes.
    fn rows(&self, array: &Array, dtype: DType, strides: Strides) -> FloatTensor<Cuda> {
        let tensor = self.tensor::<3>(array).cast(FloatDType::from(dtype));
        primitive(match strides {
            Strides::Dense => tensor,
            Strides::Sliced => {
                let width = tensor.dims()[2];
                Tensor::cat(vec![tensor.clone(), tensor], 2).narrow(2, width, width)
            }
            Strides::Permuted => {
                let turned = tensor.swap_dims(1, 2);
                // Arithmetic makes the turned order that of the memory.
                let [a, b, c] = turned.dims();
                let flat = turned.reshape([a * b * c]).reshape([a, b, c]);
                flat.swap_dims(1, 2)
            }
        })
    }

    pub fn transformers(&mut self) {
        let sizes = [
            (1, 1, 1, 1, 4),
            (2, 3, 8, 3, 4),
            (1, 3, 17, 2, 20),
            (2, 2, 64, 3, 16),
            (1, 2, 70, 1, 64),
            (3, 10, 9, 1, 8),
            (1, 2, 343, 3, 16),
            (1, 1, 216, 5, 12),
        ];
        for dtype in [DType::F32, DType::F16] {
            for strides in [Strides::Dense, Strides::Permuted, Strides::Sliced] {
                for (cases, in_case, n, heads, channels) in sizes {
                    let sizes = Attention {
                        cases,
                        in_case,
                        n,
                        heads,
                        channels,
                    };
                    self.attention(sizes, dtype, strides, false);
                    self.attention(sizes, dtype, strides, true);
                }
                for shape in [
                    [1, 1, 8],
                    [2, 3, 5],
                    [3, 100, 48],
                    [2, 7, 384],
                    [1, 5, 1000],
                ] {
                    self.layer_normalization(shape, dtype, strides, true);
                    self.layer_normalization(shape, dtype, strides, false);
                    self.gelu(shape, dtype, strides);
                }
                for (rows, inputs, outputs) in
                    [(1, 1, 1), (7, 5, 3), (3000, 48, 144), (70, 192, 768)]
                {
                    self.linear(rows, [inputs, outputs], dtype, strides);
                }
                for (cases, rows, outputs, channels) in [
                    (1, 1, 1, 1),
                    (2, 7, 30, 3),
                    (2, 40, 900, 16),
                    (3, 5, 700, 300),
                ] {
                    self.gather([cases, rows, channels], outputs, dtype, strides);
                }
            }
        }
    }

    fn attention(&mut self, sizes: Attention, dtype: DType, strides: Strides, has_regions: bool) {
        let Attention {
            cases,
            in_case,
            n,
            heads,
            channels,
        } = sizes;
        let name = format!("{sizes:?}, regions {has_regions}, {dtype:?}, {strides:?}");
        let (windows, width) = (cases * in_case, heads * channels);
        let mut qkv = Array::random(&[windows, n, 3 * width], 1);
        qkv.values.iter_mut().for_each(|value| *value *= 2.0);
        let bias = Array::random(&[heads, n, n], 2);
        let gradient = Array::random(&[windows, n, width], 3);
        let regions: Vec<i32> = Array::random(&[in_case * n], 4)
            .values
            .iter()
            .map(|value| (value * 256.0) as i32 % 2)
            .collect();
        let regions = has_regions.then_some(regions);
        let to_regions = regions.clone().map(|regions| {
            let data = TensorData::new(regions, [in_case, n]);
            Tensor::<Cuda, 2, Int>::from_data(data, &self.device).into_primitive()
        });
        let expected = attention(sizes, [&qkv, &bias, &gradient], regions.as_deref());
        let [output, log_sums, to_qkv, to_bias] = expected;
        let q = self.rows(&qkv, dtype, strides);
        let b = self.rows(&bias, DType::F32, strides);
        let g = self.rows(&gradient, dtype, strides);
        let tolerance = if dtype == DType::F32 { 1e-5 } else { 4e-3 };
        let attended = Cuda::window_attention(q.clone(), b.clone(), to_regions.clone());
        let kept = attended.clone();
        self.compare(
            &format!("attention {name}"),
            attended.output,
            &output,
            tolerance,
        );
        self.compare("  log sums", attended.log_sums, &log_sums, tolerance);
        let gradients = Cuda::window_attention_gradient(q, b, to_regions, kept, g);
        self.compare("  qkv", gradients.qkv, &to_qkv, 5.0 * tolerance);
        // The gradient of a single score is 0.
        if n > 1 {
            self.compare("  bias", gradients.bias, &to_bias, 5.0 * tolerance);
        }
    }

    fn linear(
        &mut self,
        rows: usize,
        [inputs, outputs]: [usize; 2],
        dtype: DType,
        strides: Strides,
    ) {
        let name = format!("{rows} rows, {inputs} to {outputs}, {dtype:?}, {strides:?}");
        let x = Array::random(&[1, rows, inputs], 1);
        let weight = Array::random(&[1, outputs, inputs], 2);
        let bias = Array::random(&[outputs], 3);
        let gradient = Array::random(&[1, rows, outputs], 4);
        let mut output = Array::zeros(&[rows, outputs]);
        let mut input = Array::zeros(&[rows, inputs]);
        let mut to_weight = Array::zeros(&[outputs, inputs]);
        for row in 0..rows {
            for k in 0..outputs {
                let slope = gradient.values[row * outputs + k];
                let mut sum = bias.values[k];
                for c in 0..inputs {
                    let (x, w) = (x.values[row * inputs + c], weight.values[k * inputs + c]);
                    sum += x * w;
                    input.values[row * inputs + c] += slope * w;
                    to_weight.values[k * inputs + c] += slope * x;
                }
                output.values[row * outputs + k] = sum;
            }
        }
        let flat = |array: &Array, dtype, strides| {
            let [_, rows, columns] = array.shape[..] else {
                panic!("an array of three axes");
            };
            let tensor = self.rows(array, dtype, strides);
            let tensor = Tensor::<Cuda, 3>::from_primitive(TensorPrimitive::Float(tensor));
            primitive(tensor.reshape([rows, columns]))
        };
        let to_x = flat(&x, dtype, strides);
        let to_gradient = flat(&gradient, dtype, strides);
        let w = flat(&weight, DType::F32, strides);
        let b = primitive(self.tensor::<1>(&bias));
        let tolerance = if dtype == DType::F32 { 1e-5 } else { 1e-3 };
        let computed = <Cuda as BackendOps>::linear(to_x.clone(), w.clone(), Some(b));
        self.compare(&format!("linear {name}"), computed, &output, tolerance);
        let computed = Cuda::linear_input_gradient(to_gradient.clone(), w);
        self.compare("  input", computed, &input, tolerance);
        let computed = Cuda::linear_weight_gradient(to_x, to_gradient);
        self.compare("  weight", computed, &to_weight, 1e-5);
    }

    fn layer_normalization(
        &mut self,
        shape: [usize; 3],
        dtype: DType,
        strides: Strides,
        has_weights: bool,
    ) {
        let name = format!("{shape:?}, weights {has_weights}, {dtype:?}, {strides:?}");
        let mut x = Array::random(&shape, 1);
        // Away from zero, so that cancellation would show.
        x.values.iter_mut().for_each(|value| *value += 2.0);
        let gradient = Array::random(&shape, 2);
        let [weight, bias] = [3, 4].map(|seed| Array::random(&shape[2..], seed));
        let affine = has_weights.then_some([&weight, &bias]);
        let [output, input, to_weight, to_bias] = layer_norm(&x, affine, &gradient);
        let to_x = self.rows(&x, dtype, strides);
        let [w, b] = [&weight, &bias].map(|array| primitive(self.tensor::<1>(array)));
        let affine = has_weights.then(|| [w.clone(), b]);
        let tolerance = if dtype == DType::F32 { 1e-4 } else { 2e-3 };
        let computed = <Cuda as BackendOps>::layer_norm(to_x.clone(), affine, EPSILON as f32);
        self.compare(&format!("layer norm {name}"), computed, &output, tolerance);
        let to_gradient = self.rows(&gradient, dtype, strides);
        let weight = has_weights.then_some(w);
        let computed = Cuda::layer_norm_gradient(to_x, weight, to_gradient, EPSILON as f32);
        self.compare("  input", computed.input, &input, tolerance);
        if let Some([weight, bias]) = computed.affine {
            self.compare("  weight", weight, &to_weight, 1e-3);
            self.compare("  bias", bias, &to_bias, 1e-3);
        }
    }

    fn gelu(&mut self, shape: [usize; 3], dtype: DType, strides: Strides) {
        let mut x = Array::random(&shape, 1);
        x.values.iter_mut().for_each(|value| *value *= 4.0);
        let gradient = Array::random(&shape, 2);
        let [mut output, mut input] = [0; 2].map(|_| Array::zeros(&shape));
        for (index, &x) in x.values.iter().enumerate() {
            let below = 0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
            let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
            output.values[index] = x * below;
            input.values[index] = gradient.values[index] * (below + x * density);
        }
        let to_x = self.rows(&x, dtype, strides);
        let to_gradient = self.rows(&gradient, dtype, strides);
        let tolerance = if dtype == DType::F32 { 1e-5 } else { 2e-3 };
        let computed = <Cuda as BackendOps>::gelu(to_x.clone());
        let name = format!("gelu {shape:?}, {dtype:?}, {strides:?}");
        self.compare(&name, computed, &output, tolerance);
        let computed = Cuda::gelu_gradient(to_x, to_gradient);
        self.compare("  gradient", computed, &input, tolerance);
    }

    /// Half of the outputs read the last row.
    fn gather(
        &mut self,
        [cases, rows, channels]: [usize; 3],
        outputs: usize,
        dtype: DType,
        strides: Strides,
    ) {
        let x = Array::random(&[cases, rows, channels], 1);
        let gradient = Array::random(&[cases, outputs, channels], 2);
        let indices: Vec<usize> = Array::random(&[outputs], 3)
            .values
            .iter()
            .map(|value| match *value > 0.0 {
                true => rows - 1,
                false => (-value * 256.0) as usize % rows,
            })
            .collect();
        let mut output = Array::zeros(&gradient.shape);
        let mut input = Array::zeros(&x.shape);
        for case in 0..cases {
            for (place, row) in indices.iter().enumerate() {
                for c in 0..channels {
                    let from = (case * rows + row) * channels + c;
                    let into = (case * outputs + place) * channels + c;
                    output.values[into] = x.values[from];
                    input.values[from] += gradient.values[into];
                }
            }
        }
        let gather = RowGather::new::<Cuda>(&indices, rows, &self.device);
        let computed = Cuda::gather_rows(self.rows(&x, dtype, strides), &gather);
        let name = format!(
            "gather {:?} of {:?}, {dtype:?}, {strides:?}",
            outputs, x.shape
        );
        self.compare(&name, computed, &output, 0.0);
        let to_gradient = self.rows(&gradient, dtype, strides);
        let computed = Cuda::gather_rows_gradient(to_gradient, &gather);
        let tolerance = if dtype == DType::F32 { 1e-5 } else { 2e-3 };
        self.compare("  gradient", computed, &input, tolerance);
    }
}
