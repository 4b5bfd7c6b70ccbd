//! Checks every CUDA kernel against plain loops, then times them at the shapes of training.

mod batch_norm;
mod leaky_relu;
mod losses;
mod optimizers;
mod resizing;
mod timing;
mod transformer;
mod truth;

use std::process::ExitCode;

use burn::tensor::ops::{FloatTensor, FloatTensorOps};
use burn::tensor::{DType, FloatDType, Tensor, TensorData, TensorPrimitive};
use truth::Array;
use vesal_kernels::cuda::{Cuda, CudaDevice, check};
use vesal_kernels::{BackendOps, ConvGeometry, Nonlinearity};

/// Memory layout of activations.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Strides {
    Dense,
    /// A view of channels-first memory.
    Permuted,
    /// A slice of something larger.
    Sliced,
}

fn primitive<const D: usize>(tensor: Tensor<Cuda, D>) -> FloatTensor<Cuda> {
    tensor.into_primitive().tensor()
}

struct Checks {
    device: CudaDevice,
    failures: usize,
}

impl Checks {
    fn tensor<const D: usize>(&self, array: &Array) -> Tensor<Cuda, D> {
        let values: Vec<f32> = array.values.iter().map(|&value| value as f32).collect();
        Tensor::from_data(TensorData::new(values, array.shape.clone()), &self.device)
    }

    fn activations(&self, array: &Array, dtype: DType, strides: Strides) -> FloatTensor<Cuda> {
        let dtype = FloatDType::from(dtype);
        primitive(match strides {
            Strides::Dense => self.tensor::<5>(array).cast(dtype),
            Strides::Permuted => {
                let first = self.tensor::<5>(&array.channels_first()).cast(dtype);
                first.permute([0, 2, 3, 4, 1])
            }
            Strides::Sliced => {
                let tensor = self.tensor::<5>(array).cast(dtype);
                let length = tensor.dims()[3];
                Tensor::cat(vec![tensor.clone(), tensor], 3).narrow(3, length, length)
            }
        })
    }

    fn compare(&mut self, name: &str, computed: FloatTensor<Cuda>, truth: &Array, tolerance: f64) {
        let data = read(computed);
        let shape_fits = data.shape.iter().eq(truth.shape.iter());
        let computed: Vec<f64> = data.iter::<f64>().collect();
        let largest = truth.values.iter().fold(1e-30, |a: f64, b| a.max(b.abs()));
        let difference = computed
            .iter()
            .zip(&truth.values)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, |a: f64, b| if b > a || b.is_nan() { b } else { a });
        let error = difference / largest;
        let passes = shape_fits && computed.len() == truth.values.len() && error <= tolerance;
        if !passes {
            self.failures += 1;
        }
        let verdict = if passes { "PASS" } else { "FAIL" };
        println!("{verdict}  {error:9.2e}  (≤ {tolerance:.0e})  {name}");
    }

    fn convolution(&mut self, case: &ConvCase, dtype: DType, strides: Strides) {
        let &ConvCase {
            shape,
            k,
            geometry,
            bias,
        } = case;
        let name = format!("{shape:?} → {k}, {geometry:?}, {dtype:?}, {strides:?}")
            .replace("ConvGeometry ", "");
        let [n, sx, sy, sz, c] = shape;
        let [kx, ky, kz] = geometry.kernel;
        let [ox, oy, oz] = geometry.output_shape([sx, sy, sz]);
        let x = Array::random(&shape, 1);
        let weight = Array::random(&[k, c, kx, ky, kz], 2);
        let gradient = Array::random(&[n, ox, oy, oz, k], 3);
        let bias = bias.then(|| Array::random(&[k], 4));
        let to_x = self.activations(&x, dtype, strides);
        let to_gradient = self.activations(&gradient, dtype, strides);
        let w = primitive(self.tensor::<5>(&weight));
        let b = bias.as_ref().map(|bias| primitive(self.tensor::<1>(bias)));
        let tolerance = 2e-3;

        let y = Cuda::conv(to_x.clone(), w.clone(), b, geometry);
        let expected = truth::conv(&x, &weight, bias.as_ref(), geometry);
        self.compare(&format!("conv {name}"), y, &expected, tolerance);

        let y = Cuda::conv_input_gradient(to_gradient.clone(), w, [sx, sy, sz], geometry);
        let expected = truth::input_gradient(&gradient, &weight, [sx, sy, sz], geometry);
        self.compare(&format!("  input {name}"), y, &expected, tolerance);

        let y = Cuda::conv_weight_gradient(to_x, to_gradient.clone(), geometry);
        let expected = truth::weight_gradient(&x, &gradient, geometry);
        self.compare(&format!("  weight {name}"), y, &expected, tolerance);

        let y = Cuda::bias_gradient(to_gradient);
        let expected = truth::bias_gradient(&gradient);
        self.compare(&format!("  bias {name}"), y, &expected, 1e-5);
    }

    fn normalization(
        &mut self,
        shape: [usize; 5],
        dtype: DType,
        strides: Strides,
        nonlinearity: Nonlinearity,
        is_affine: bool,
    ) {
        let name =
            format!("{shape:?}, {dtype:?}, {strides:?}, {nonlinearity:?}, affine: {is_affine}");
        let c = shape[4];
        let mut x = Array::random(&shape, 1);
        // Away from zero, so that cancellation would show.
        for (index, value) in x.values.iter_mut().enumerate() {
            *value += (index % c % 4) as f64;
        }
        let gradient = Array::random(&shape, 2);
        let [mut weight, mut bias] = [3, 4].map(|seed| Array::random(&[c], seed));
        if !is_affine {
            weight.values.fill(1.0);
            bias.values.fill(0.0);
        }
        let epsilon = 1e-5;
        let to_x = self.activations(&x, dtype, strides);
        let to_gradient = self.activations(&gradient, dtype, strides);
        let affine =
            is_affine.then(|| [&weight, &bias].map(|array| primitive(self.tensor::<1>(array))));
        let tolerance = if dtype == DType::F32 { 1e-4 } else { 2e-3 };

        let [y, kept] = truth::instance_norm(&x, &weight, &bias, epsilon, nonlinearity);
        let computed =
            Cuda::instance_norm(to_x.clone(), affine.clone(), epsilon as f32, nonlinearity);
        self.compare(&format!("norm {name}"), computed.output, &y, tolerance);
        let statistics = computed.statistics;
        self.compare("  statistics", statistics.clone(), &kept, 1e-5);

        let [input, to_weight, to_bias] =
            truth::instance_norm_gradient(&x, &kept, &weight, &bias, &gradient, nonlinearity);
        let computed =
            Cuda::instance_norm_gradient(to_x, statistics, affine, to_gradient, nonlinearity);
        self.compare("  input", computed.input, &input, tolerance);
        if let Some([weight, bias]) = computed.affine {
            self.compare("  weight", weight, &to_weight, 1e-3);
            self.compare("  bias", bias, &to_bias, 1e-3);
        }
    }

    /// Alternating launches of Burn and of these kernels, with memory that is freed at once.
    fn order(&mut self) {
        let base = Array::random(&[2, 32, 32, 32, 24], 7);
        let x = self.tensor::<5>(&base);
        let sums = truth::bias_gradient(&base);
        let outputs: Vec<_> = (0..100)
            .map(|turn| {
                let scaled = x.clone().mul_scalar(turn as f32);
                let sum = Cuda::bias_gradient(primitive(scaled));
                Tensor::<Cuda, 1>::from_primitive(TensorPrimitive::Float(sum)).add_scalar(1.0)
            })
            .collect();
        let mut truth = Array::zeros(&[100, 24]);
        for (index, value) in truth.values.iter_mut().enumerate() {
            *value = sums.values[index % 24] * (index / 24) as f64 + 1.0;
        }
        let stacked = Tensor::stack::<2>(outputs, 0);
        self.compare("order among streams", primitive(stacked), &truth, 1e-5);
    }
}

fn read(tensor: FloatTensor<Cuda>) -> TensorData {
    let data = <Cuda as FloatTensorOps<Cuda>>::float_into_data(tensor);
    burn::tensor::read_sync(data).expect("the device works")
}

struct ConvCase {
    shape: [usize; 5],
    k: usize,
    geometry: ConvGeometry,
    bias: bool,
}

fn conv_cases() -> Vec<ConvCase> {
    let case = |shape, k, kernel, stride, padding, bias| ConvCase {
        shape,
        k,
        geometry: ConvGeometry {
            kernel,
            stride,
            padding,
        },
        bias,
    };
    vec![
        case([2, 7, 6, 5, 8], 8, [3; 3], [1; 3], [1; 3], false),
        case([2, 8, 9, 10, 32], 32, [3; 3], [1; 3], [1; 3], false),
        case([2, 7, 6, 5, 1], 8, [3; 3], [1; 3], [1; 3], false),
        case([2, 7, 6, 5, 5], 7, [3; 3], [1; 3], [1; 3], true),
        case([2, 7, 6, 5, 5], 16, [3; 3], [2; 3], [1; 3], false),
        case([2, 8, 6, 4, 16], 32, [3; 3], [2; 3], [1; 3], false),
        case([1, 8, 6, 5, 16], 32, [3, 3, 1], [2, 2, 1], [1, 1, 0], false),
        case([2, 9, 7, 5, 32], 64, [3, 3, 1], [2, 2, 1], [1, 1, 0], false),
        case([2, 8, 6, 5, 1], 32, [3, 3, 1], [1; 3], [1, 1, 0], false),
        case([2, 8, 6, 5, 32], 32, [3, 3, 1], [1; 3], [1, 1, 0], false),
        case([1, 4, 2, 1, 64], 64, [3, 3, 1], [1; 3], [1, 1, 0], false),
        case([1, 8, 6, 5, 40], 24, [1, 3, 3], [1; 3], [0, 1, 1], false),
        case([2, 5, 6, 7, 32], 3, [1; 3], [1; 3], [0; 3], true),
        case([2, 8, 6, 4, 16], 32, [1; 3], [2; 3], [0; 3], false),
        case([2, 7, 5, 4, 16], 5, [1; 3], [2, 3, 1], [0; 3], true),
        case([1, 8, 8, 8, 4], 4, [7; 3], [1; 3], [3; 3], false),
        case([5, 2, 3, 2, 64], 64, [3; 3], [1; 3], [1; 3], false),
        case([2, 8, 6, 4, 1], 48, [2; 3], [2; 3], [0; 3], true),
        case([2, 8, 6, 4, 48], 96, [2; 3], [2; 3], [0; 3], false),
        case([1, 2, 4, 2, 384], 768, [2; 3], [2; 3], [0; 3], false),
        case([1, 6, 7, 5, 32], 32, [3, 1, 3], [1; 3], [1, 0, 1], false),
        case([1, 6, 7, 5, 32], 32, [1, 1, 3], [1; 3], [0, 0, 1], false),
        case([1, 6, 7, 5, 32], 32, [1, 3, 1], [1; 3], [0, 1, 0], false),
        case([1, 6, 7, 5, 32], 32, [3, 1, 1], [1; 3], [1, 0, 0], false),
        case([1, 2, 2, 2, 768], 768, [3; 3], [1; 3], [1; 3], false),
        case([1, 3, 3, 2, 1536], 384, [1; 3], [1; 3], [0; 3], false),
        case([1, 4, 4, 6, 256], 512, [1; 3], [2; 3], [0; 3], false),
        case([1, 6, 6, 6, 48], 14, [1; 3], [1; 3], [0; 3], true),
    ]
}

fn main() -> ExitCode {
    let index = std::env::var("CUDA_CHECK_DEVICE").map_or(0, |value| value.parse().unwrap_or(0));
    if let Err(error) = check(index) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let mut checks = Checks {
        device: CudaDevice { index },
        failures: 0,
    };
    checks.order();
    for guard in [None, Some(2.0), Some(f32::NAN), Some(f32::INFINITY)] {
        checks.adamw(guard, None);
        checks.sgd(guard, None);
    }
    for norm in [1.0, 256.0] {
        checks.adamw(Some(norm), Some(0.75));
        checks.sgd(Some(norm), Some(0.75));
    }
    let types = [DType::F32, DType::F16];
    let all_strides = [Strides::Dense, Strides::Permuted, Strides::Sliced];
    for dtype in types {
        for strides in all_strides {
            for shape in [
                [2, 7, 6, 5, 8],
                [2, 5, 6, 7, 5],
                [1, 12, 13, 11, 24],
                [3, 4, 5, 6, 33],
                [5, 4, 6, 4, 256],
                [2, 3, 3, 3, 264],
                [1, 40, 41, 42, 32],
                [1, 1, 1, 1, 16],
            ] {
                for nonlinearity in [
                    Nonlinearity::Identity,
                    Nonlinearity::Relu,
                    Nonlinearity::LeakyRelu(0.01),
                ] {
                    for is_affine in [true, false] {
                        checks.normalization(shape, dtype, strides, nonlinearity, is_affine);
                    }
                    checks.batch_normalization(shape, dtype, strides, nonlinearity);
                }
                checks.leaky_relu(shape, dtype, strides);
            }
            for k in [2, 3, 4, 5, 8, 9, 33, 105] {
                for fine in [[9, 6, 5], [18, 13, 11]] {
                    checks.losses([2, 9, 6, 5, k], fine, dtype, strides);
                }
            }
        }
    }
    for dtype in types {
        checks.losses([1, 2, 3, 2, 1024], [2, 3, 2], dtype, Strides::Dense);
        checks.losses([1, 64, 64, 64, 3], [64; 3], dtype, Strides::Dense);
    }
    checks.transformers();
    checks.resizing();
    for case in conv_cases() {
        for dtype in types {
            for strides in all_strides {
                checks.convolution(&case, dtype, strides);
            }
        }
    }
    println!("{} failures", checks.failures);
    if checks.failures > 0 {
        return ExitCode::FAILURE;
    }
    timing::print(&checks.device);
    ExitCode::SUCCESS
}
