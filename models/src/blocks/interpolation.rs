//! Interpolation of volumes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use burn::tensor::backend::Backend;

use crate::ops::{Constant, NetworkOps};

/// Resizes a volume by linear interpolation along each axis, the first and last voxels of which stay where they are.
///
/// **Shapes**: `[N, C, X, Y, Z]` → `[N, C, space]`.
///
/// **Source**: PyTorch `interpolate(mode="trilinear", align_corners=True)`.
pub fn resize_linear<B: Backend, O: NetworkOps<B>>(
    ops: &mut O,
    x: O::Value,
    space: [usize; 3],
) -> O::Value {
    let (_, found) = ops.shape(&x).volume();
    let matrices = std::array::from_fn(|axis| {
        let (from, to) = (found[axis], space[axis]);
        (from != to).then(|| align_corners(from, to))
    });
    ops.interpolate(&matrices, x)
}

/// The matrix that resizes an axis linearly; the same constant each time.
///
/// **Shapes**: `[to, from]`.
///
/// **Definition**: output `j` is at `j (from - 1) / (to - 1)`, at 0 if `to` is 1; the two voxels around share it by their
/// distance.
fn align_corners(from: usize, to: usize) -> Constant {
    static KNOWN: Mutex<Option<HashMap<[usize; 2], Constant>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    let matrix = known.entry([from, to]).or_insert_with(|| {
        let mut values = vec![0.; from * to];
        for output in 0..to {
            let place = output as f64 * (from - 1) as f64 / (to - 1).max(1) as f64;
            let low = (place.floor() as usize).min(from - 1);
            let share = place - low as f64;
            values[output * from + low] += (1. - share) as f32;
            values[output * from + (low + 1).min(from - 1)] += share as f32;
        }
        Constant::new("interpolation", [to, from], values)
    });
    matrix.clone()
}
