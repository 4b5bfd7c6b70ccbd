//! Constant row indices, with the readers of each row.

use burn::tensor::TensorData;
use burn::tensor::backend::Backend;
use burn::tensor::ops::IntTensor;

/// On a GPU, a whole block sums the gradient of a row that more outputs read.
pub(crate) const FEW_READERS: i32 = 128;

/// Constant indices of rows, prepared so that gradients need no additions to shared memory, whose order is undefined.
///
/// `I` is a backend's tensor of integers. Clones share the indices.
#[derive(Debug, Clone)]
pub struct RowGather<I> {
    pub(crate) rows: usize,
    pub(crate) outputs: usize,
    /// The row of each output, `[outputs]`.
    pub(crate) indices: I,
    /// Where the readers of each row begin, and the end of the last: `[rows + 1]`; then the rows that have more than
    /// [`FEW_READERS`].
    pub(crate) offsets: I,
    /// Outputs by the row that they read, each row's in order: `[outputs]`.
    pub(crate) readers: I,
}

impl<I> RowGather<I> {
    /// Prepares indices into this many rows.
    ///
    /// **Panics**: without indices or rows, where an index is not below `rows`, and from 2^31 rows or indices.
    #[track_caller]
    pub fn new<B: Backend<IntTensorPrimitive = I>>(
        indices: &[usize],
        rows: usize,
        device: &B::Device,
    ) -> Self {
        let counts = 1..i32::MAX as usize;
        assert!(
            counts.contains(&rows) && counts.contains(&indices.len()),
            "{} indices into {rows} rows",
            indices.len()
        );
        let mut offsets = vec![0; rows + 1];
        for &index in indices {
            assert!(index < rows, "row {index} of {rows}");
            offsets[index + 1] += 1;
        }
        let rows_with_many = |&row: &i32| offsets[row as usize + 1] > FEW_READERS;
        let crowded: Vec<i32> = (0..rows as i32).filter(rows_with_many).collect();
        for row in 0..rows {
            offsets[row + 1] += offsets[row];
        }
        let mut next = offsets.clone();
        let mut readers = vec![0; indices.len()];
        for (output, &index) in indices.iter().enumerate() {
            readers[next[index] as usize] = output as i32;
            next[index] += 1;
        }
        offsets.extend(crowded);
        let sources: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
        let upload = |values: &[i32]| upload::<B>(values, device);
        Self {
            rows,
            outputs: indices.len(),
            indices: upload(&sources),
            offsets: upload(&offsets),
            readers: upload(&readers),
        }
    }
}

fn upload<B: Backend>(values: &[i32], device: &B::Device) -> IntTensor<B> {
    // Whatever the backend's own type of integers is, kernels read this one.
    B::int_from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Int, Tensor};
    use burn_flex::{Flex, FlexTensor};

    use super::*;

    fn values(tensor: &FlexTensor) -> Vec<i32> {
        let tensor = Tensor::<Flex, 1, Int>::from_primitive(tensor.clone());
        tensor.into_data().iter::<i32>().collect()
    }

    #[test]
    fn readers_are_in_order() {
        let gather = RowGather::new::<Flex>(&[2, 0, 2, 3, 2], 5, &Default::default());
        assert_eq!(values(&gather.indices), [2, 0, 2, 3, 2]);
        assert_eq!(values(&gather.offsets), [0, 1, 1, 4, 5, 5]);
        assert_eq!(values(&gather.readers), [1, 0, 2, 4, 3]);
        let crowded = RowGather::new::<Flex>(&[1; 129], 2, &Default::default());
        assert_eq!(values(&crowded.offsets), [0, 0, 129, 1]);
    }

    #[test]
    #[should_panic(expected = "row 5 of 5")]
    fn rows_are_bounded() {
        RowGather::new::<Flex>(&[5], 5, &Default::default());
    }
}
