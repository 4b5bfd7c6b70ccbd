//! Linear resizing of volumes.
#![allow(unsafe_code, reason = "launches kernels")]

use super::argument::argument;
use super::backend::{Cuda, CudaTensor};
use super::limits::MOST_VALUES;
use super::operation::Operation;
use super::precision::ActivationType;
use super::tensor::axes;
use crate::reference;

/// Threads of a block.
const THREADS: u32 = 256;

/// Most voxels along an axis, so that products of two places fit 32 bits.
const MOST_VOXELS: usize = 1 << 15;

/// Laid out as in resize.cu.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Resize {
    cases: u32,
    channels: u32,
    from: [u32; 3],
    to: [u32; 3],
}

pub fn resize_linear(x: CudaTensor, space: [usize; 3]) -> CudaTensor {
    let [_, found @ .., _] = axes::<5>(&x);
    match launch("resize", &x, space, [found, space]) {
        Some(resized) => resized,
        None => reference::resize_linear::<Cuda>(x, space),
    }
}

pub fn resize_linear_gradient(gradient: CudaTensor, space: [usize; 3]) -> CudaTensor {
    let [_, found @ .., _] = axes::<5>(&gradient);
    match launch("resize_gradient", &gradient, space, [space, found]) {
        Some(resized) => resized,
        None => reference::resize_linear_gradient::<Cuda>(gradient, space),
    }
}

/// A volume of other voxels by one of the kernels; none where they cannot take it.
fn launch(
    stem: &'static str,
    x: &CudaTensor,
    space: [usize; 3],
    [from, to]: [[usize; 3]; 2],
) -> Option<CudaTensor> {
    let precision = ActivationType::of(x)?;
    let [cases, .., channels] = axes::<5>(x);
    let values = cases * channels * space.iter().product::<usize>();
    let mut sides = from.iter().chain(&to);
    if values >= MOST_VALUES || !sides.all(|side| (1..MOST_VOXELS).contains(side)) {
        return None;
    }
    let whole = |shape: [usize; 3]| shape.map(|side| side as u32);
    let of = Resize {
        cases: cases as u32,
        channels: channels as u32,
        from: whole(from),
        to: whole(to),
    };
    let vector = precision.vector();
    let width = if channels % vector == 0 { vector } else { 1 };
    let count = (values / width) as u32;
    let dtype = x.dtype;
    let mut operation = Operation::beside(x);
    let x = operation.dense(x.clone());
    let [a, b, c] = space;
    let (output, into) = operation.output([cases, a, b, c, channels], dtype);
    operation.submit(move |gpu, at| {
        let blocks = count.div_ceil(THREADS).min(32 * gpu.multiprocessors);
        let kernel = format!("{stem}_{}_{width}", precision.name());
        let (x, into) = (at.of(x), at.of(into));
        let mut arguments = [argument(&x), argument(&into), argument(&of)];
        // SAFETY: the buffers have the sizes that the argument names.
        unsafe { gpu.launch(&kernel, [blocks, 1, 1], THREADS, 0, &mut arguments) }
    });
    Some(output)
}
