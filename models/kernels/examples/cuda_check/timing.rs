//! Times of operations at the shapes of training.

use std::time::Instant;

use burn::tensor::backend::Backend;
use burn::tensor::{DType, FloatDType, Int, Shape, Tensor};
use vesal_kernels::cuda::{Cuda, CudaDevice};
use vesal_kernels::{AdamWStep, BackendOps, ConvGeometry, Moments, Nonlinearity, RowGather};

use super::primitive;

const CALLS: usize = 20;

/// Milliseconds per call, best of three batches.
fn milliseconds(device: &CudaDevice, mut call: impl FnMut()) -> f64 {
    call();
    let batch = |_| {
        Cuda::sync(device).expect("the device works");
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        Cuda::sync(device).expect("the device works");
        start.elapsed().as_secs_f64() * 1e3 / CALLS as f64
    };
    (0..3).map(batch).fold(f64::MAX, f64::min)
}

fn ramp(shape: impl Into<Shape>, dtype: DType, device: &CudaDevice) -> Tensor<Cuda, 5> {
    let shape: Shape = shape.into();
    let count = shape.num_elements() as i64;
    let values = Tensor::<Cuda, 1, Int>::arange(0..count, device).remainder_scalar(17);
    let values = values.float().div_scalar(16.0).sub_scalar(0.5);
    values.reshape(shape).cast(FloatDType::from(dtype))
}

/// Prints a table of both steps.
pub fn print(device: &CudaDevice) {
    for dtype in [DType::F16, DType::F32] {
        println!(
            "\n{dtype:?}, ms: conv forward / input gradient / weight gradient, norm, its gradient"
        );
        let small = [32, 64, 128, 256, 512].map(|c| (5, [1024 / c, 1536 / c, 1024 / c], c));
        let large = [32, 64, 128, 256].map(|c| (1, [4096 / c; 3], c));
        for (n, [x, y, z], c) in small.into_iter().chain(large) {
            level([n, x, y, z, c], dtype, device);
        }
    }
    println!();
    loss(device);
    optimizer(device);
    println!("\nms: attention, its gradient");
    for dtype in [DType::F16, DType::F32] {
        for (windows, heads, n) in [(686, 3, 343), (128, 6, 343), (16, 12, 343), (2, 24, 216)] {
            attention([windows, heads, n], dtype, device);
        }
    }
    println!("\nms: linear map, gradients of its input, weight and bias");
    for dtype in [DType::F16, DType::F32] {
        for (rows, inputs) in [(131_072, 48), (16_384, 96), (2048, 192), (256, 384)] {
            linear([rows, inputs, 3 * inputs], dtype, device);
        }
    }
    println!("\nms: layer norm, its gradient, GELU, its gradient, padded gather, its gradient");
    for (tokens, channels) in [(48, 48), (24, 96), (12, 192), (6, 384)] {
        rows(tokens, channels, device);
    }
}

/// Of 16 channels per head.
fn attention([windows, heads, n]: [usize; 3], dtype: DType, device: &CudaDevice) {
    let cube = |shape: [usize; 3], dtype| {
        let [a, b, c] = shape;
        primitive(ramp([1, 1, a, b, c], dtype, device).reshape(shape))
    };
    let qkv = cube([windows, n, 48 * heads], dtype);
    let bias = cube([heads, n, n], DType::F32);
    let gradient = cube([windows, n, 16 * heads], dtype);
    let forward = milliseconds(device, || {
        Cuda::window_attention(qkv.clone(), bias.clone(), None);
    });
    let attended = Cuda::window_attention(qkv.clone(), bias.clone(), None);
    let backward = milliseconds(device, || {
        let kept = attended.clone();
        Cuda::window_attention_gradient(qkv.clone(), bias.clone(), None, kept, gradient.clone());
    });
    println!(
        "{windows} windows, {heads} heads, {n} tokens, {dtype:?}: {forward:.3}, {backward:.3}"
    );
}

fn linear([rows, inputs, outputs]: [usize; 3], dtype: DType, device: &CudaDevice) {
    let matrix = |[rows, columns]: [usize; 2], dtype| {
        primitive(ramp([1, 1, 1, rows, columns], dtype, device).reshape([rows, columns]))
    };
    let x = matrix([rows, inputs], dtype);
    let gradient = matrix([rows, outputs], dtype);
    let weight = matrix([outputs, inputs], DType::F32);
    let bias = primitive(Tensor::<Cuda, 1>::ones([outputs], device));
    let voxels = primitive(ramp([1, rows, 1, 1, outputs], dtype, device));
    let forward = milliseconds(device, || {
        <Cuda as BackendOps>::linear(x.clone(), weight.clone(), Some(bias.clone()));
    });
    let to_input = milliseconds(device, || {
        Cuda::linear_input_gradient(gradient.clone(), weight.clone());
    });
    let to_weight = milliseconds(device, || {
        Cuda::linear_weight_gradient(x.clone(), gradient.clone());
    });
    let to_bias = milliseconds(device, || {
        Cuda::bias_gradient(voxels.clone());
    });
    println!(
        "{rows} rows, {inputs} to {outputs}, {dtype:?}: {forward:.3}, {to_input:.3}, {to_weight:.3}, {to_bias:.3}"
    );
}

/// Of two cases of `tokens³`, in half precision.
fn rows(tokens: usize, channels: usize, device: &CudaDevice) {
    let count = tokens.pow(3);
    let shape = [2, count, channels];
    let x = primitive(ramp([2, 1, 1, count, channels], DType::F16, device).reshape(shape));
    let one = primitive(Tensor::<Cuda, 1>::ones([channels], device));
    let norm = milliseconds(device, || {
        let affine = Some([one.clone(), one.clone()]);
        <Cuda as BackendOps>::layer_norm(x.clone(), affine, 1e-5);
    });
    let norm_back = milliseconds(device, || {
        Cuda::layer_norm_gradient(x.clone(), Some(one.clone()), x.clone(), 1e-5);
    });
    let gelu = milliseconds(device, || {
        <Cuda as BackendOps>::gelu(x.clone());
    });
    let gelu_back = milliseconds(device, || {
        Cuda::gelu_gradient(x.clone(), x.clone());
    });
    let padded = count + tokens.pow(2);
    let indices: Vec<usize> = (0..padded)
        .map(|i| (i * 7919 % padded).min(count - 1))
        .collect();
    let gather = RowGather::new::<Cuda>(&indices, count, device);
    let gathering = milliseconds(device, || {
        Cuda::gather_rows(x.clone(), &gather);
    });
    let y = Cuda::gather_rows(x.clone(), &gather);
    let gathering_back = milliseconds(device, || {
        Cuda::gather_rows_gradient(y.clone(), &gather);
    });
    println!(
        "{shape:?}: {norm:.3}, {norm_back:.3}, {gelu:.3}, {gelu_back:.3}, {gathering:.3}, {gathering_back:.3}"
    );
}

fn level(shape: [usize; 5], dtype: DType, device: &CudaDevice) {
    let [n, sx, sy, sz, c] = shape;
    let geometry = ConvGeometry {
        kernel: [3; 3],
        stride: [1; 3],
        padding: [1; 3],
    };
    let x = primitive(ramp(shape, dtype, device));
    let w = primitive(ramp([c, c, 3, 3, 3], DType::F32, device).mul_scalar(0.1));
    let affine = Some([(); 2].map(|()| primitive(Tensor::<Cuda, 1>::ones([c], device))));
    let teraflop = 2e-12 * (n * sx * sy * sz * 27 * c * c) as f64;
    let rate = |ms: f64| format!("{ms:.3} ({:.0} TFLOP/s)", teraflop / ms * 1e3);
    let forward = milliseconds(device, || {
        Cuda::conv(x.clone(), w.clone(), None, geometry);
    });
    let backward = milliseconds(device, || {
        Cuda::conv_input_gradient(x.clone(), w.clone(), [sx, sy, sz], geometry);
    });
    let weights = milliseconds(device, || {
        Cuda::conv_weight_gradient(x.clone(), x.clone(), geometry);
    });
    let norm = milliseconds(device, || {
        Cuda::instance_norm(x.clone(), affine.clone(), 1e-5, Nonlinearity::Relu);
    });
    let kept = Cuda::instance_norm(x.clone(), affine.clone(), 1e-5, Nonlinearity::Relu);
    let norm_back = milliseconds(device, || {
        Cuda::instance_norm_gradient(
            x.clone(),
            kept.statistics.clone(),
            affine.clone(),
            x.clone(),
            Nonlinearity::Relu,
        );
    });
    let [forward, backward, weights] = [forward, backward, weights].map(rate);
    println!("{shape:?}: {forward} / {backward} / {weights}, {norm:.3}, {norm_back:.3}");
}

fn loss(device: &CudaDevice) {
    for [n, x, y, z, k] in [
        [5, 32, 48, 32, 3],
        [1, 128, 128, 128, 3],
        [1, 128, 128, 128, 14],
    ] {
        let logits = primitive(ramp([n, x, y, z, k], DType::F16, device));
        let count = (n * x * y * z) as i64;
        let classes = Tensor::<Cuda, 1, Int>::arange(0..count, device).remainder_scalar(k as i64);
        let classes = classes.reshape([n, x, y, z]).into_primitive();
        let one = primitive(Tensor::<Cuda, 1>::ones([1], device));
        let forward = milliseconds(device, || {
            Cuda::dice_ce(logits.clone(), classes.clone());
        });
        let sums = Cuda::dice_ce(logits.clone(), classes.clone()).sums;
        let backward = milliseconds(device, || {
            Cuda::dice_ce_gradient(logits.clone(), classes.clone(), sums.clone(), one.clone());
        });
        println!(
            "loss {:?}: {forward:.3}, gradient {backward:.3}",
            [n, x, y, z, k]
        );
    }
}

/// 12 of 512 × 512 × 27 and 100 of 32, 85 million in all.
fn optimizer(device: &CudaDevice) {
    let shapes = [[512, 512, 3, 3, 3]; 12]
        .into_iter()
        .chain([[1, 1, 1, 1, 32]; 100]);
    let step = AdamWStep {
        rate: 1e-4,
        betas: [0.9, 0.999],
        epsilon: 1e-8,
        decay: 0.1,
        time: 3,
        gradient_factor: 1.0,
        max_norm: None,
    };
    let zeros = |shape| primitive(Tensor::<Cuda, 5>::zeros(shape, device));
    let mut state: Vec<_> = shapes.map(|shape| [0; 4].map(|_| zeros(shape))).collect();
    let gradients: Vec<_> = state
        .iter()
        .map(|[_, gradient, ..]| gradient.clone())
        .collect();
    let norm = milliseconds(device, || {
        Cuda::squared_norm(&gradients);
    });
    let guard = Cuda::squared_norm(&gradients);
    let update = milliseconds(device, || {
        let parameters = state
            .drain(..)
            .map(|[weights, gradient, first, second]| Moments {
                weights,
                gradient,
                first,
                second,
            });
        let updated = Cuda::adamw(parameters.collect(), step, Some(guard.clone()));
        state = updated
            .into_iter()
            .zip(&gradients)
            .map(|([weights, first, second], gradient)| [weights, gradient.clone(), first, second])
            .collect();
    });
    println!("85 M parameters: squared norm {norm:.3}, adamw {update:.3}");
}
