//! Classes of voxels.

use burn::tensor::DType;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::dense;

/// The class of each voxel of a grid that may be coarser than the classes'; -1 where an `i32` cannot hold it.
pub fn labels(classes: FlexTensor, shape: [usize; 4]) -> Vec<i32> {
    let fine = dense::shape::<4>(&classes);
    let classes = classes.to_contiguous();
    macro_rules! by_type {
        ($($dtype:ident => $element:ty),*) => {
            match classes.dtype() {
                $(DType::$dtype => {
                    let values: &[$element] = classes.storage();
                    picked(fine, shape, |at| i32::try_from(values[at]).unwrap_or(-1))
                })*
                other => panic!("class indices of type {other:?}"),
            }
        };
    }
    by_type!(
        I64 => i64, I32 => i32, I16 => i16, I8 => i8, U64 => u64, U32 => u32, U16 => u16, U8 => u8
    )
}

/// The values at the centers of coarse voxels.
fn picked(
    fine: [usize; 4],
    [n, size_x, size_y, size_z]: [usize; 4],
    value: impl Fn(usize) -> i32 + Sync,
) -> Vec<i32> {
    let [_, fine_x, fine_y, fine_z] = fine;
    let source = |i: usize, length: usize, wanted: usize| (2 * i + 1) * length / (2 * wanted);
    let columns: Vec<usize> = (0..size_z).map(|z| source(z, fine_z, size_z)).collect();
    let mut picked = vec![-1; n * size_x * size_y * size_z];
    picked
        .par_chunks_mut((size_y * size_z).max(1))
        .enumerate()
        .for_each(|(plane, picked)| {
            let (case, x) = (plane / size_x, plane % size_x);
            let plane = case * fine_x + source(x, fine_x, size_x);
            for (y, picked) in picked.chunks_mut(size_z.max(1)).enumerate() {
                let row = (plane * fine_y + source(y, fine_y, size_y)) * fine_z;
                for (picked, column) in picked.iter_mut().zip(&columns) {
                    *picked = value(row + column);
                }
            }
        });
    picked
}
