//! Leaky ReLU of a tensor or of a sum.

use burn::tensor::{Bytes, DType, TensorMetadata};
use burn_flex::FlexTensor;
use burn_flex::Layout;
use rayon::prelude::*;

use super::dense;
use super::dispatch::vectorized;
use super::lanes::{Lanes, Vectorized};

/// Values per chunk.
const CHUNK: usize = 1 << 13;

pub fn leaky_relu_sum(x: FlexTensor, addend: Option<FlexTensor>, slope: f32) -> FlexTensor {
    assert!(slope >= 0.0, "a leaky ReLU with a slope of {slope}");
    match addend {
        Some(addend) => map(x, addend, |x, addend| {
            let sum = x + addend;
            if sum < 0.0 { sum * slope } else { sum }
        }),
        None => map(x.clone(), x, |x, _| if x < 0.0 { x * slope } else { x }),
    }
}

pub fn leaky_relu_gradient(output: FlexTensor, gradient: FlexTensor, slope: f32) -> FlexTensor {
    map(output, gradient, |output, gradient| {
        if output <= 0.0 {
            gradient * slope
        } else {
            gradient
        }
    })
}

/// A function of each pair of values of two tensors of one shape.
fn map(
    a: FlexTensor,
    b: FlexTensor,
    function: impl Fn(f32, f32) -> f32 + Copy + Sync,
) -> FlexTensor {
    let shape = a.shape();
    let (a, b) = (a.to_contiguous(), b.to_contiguous());
    let (a, b): (&[f32], &[f32]) = (a.storage(), b.storage());
    let mut output = dense::zeros(a.len());
    let chunks = output
        .par_chunks_mut(CHUNK)
        .zip(a.par_chunks(CHUNK))
        .zip(b.par_chunks(CHUNK));
    chunks.for_each(|((output, a), b)| {
        vectorized(Map {
            a,
            b,
            output,
            function,
        })
    });
    FlexTensor::new(
        Bytes::from_elems(output),
        Layout::contiguous(shape),
        DType::F32,
    )
}

struct Map<'a, F> {
    a: &'a [f32],
    b: &'a [f32],
    output: &'a mut [f32],
    function: F,
}

impl<F: Fn(f32, f32) -> f32> Vectorized for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let length = self.output.len();
        let (a, b) = (&self.a[..length], &self.b[..length]);
        let output = &mut self.output[..length];
        for i in 0..length {
            output[i] = (self.function)(a[i], b[i]);
        }
    }
}
