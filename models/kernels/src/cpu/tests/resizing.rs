use burn::tensor::Tensor;
use burn_flex::Flex;

use super::{Differentiable, check_gradients};
use crate::resizing::resize_linear;
use crate::testing::Numbers;

#[test]
fn resizing_equals_numbers_worked_by_hand() {
    let line = Tensor::<Flex, 1>::from_floats([0.0, 3.0, 12.0], &Default::default());
    let resized = |space: [usize; 3]| {
        let y = resize_linear(line.clone().reshape([1, 1, 3, 1, 1]), space);
        y.into_data().iter::<f32>().collect::<Vec<f32>>()
    };
    assert_eq!(resized([1, 5, 1]), [0.0, 1.5, 3.0, 7.5, 12.0]);
    assert_eq!(resized([1, 2, 1]), [0.0, 12.0]);
    assert_eq!(resized([1, 1, 2]), [0.0, 0.0]);
    assert_eq!(resized([1, 3, 1]), [0.0, 3.0, 12.0]);
}

#[test]
fn resizing_has_the_gradient_of_differences() {
    for space in [[5, 4, 2], [2, 8, 1], [3, 4, 7]] {
        let data = Numbers::new(4).floats([2, 3, 4, 2, 2]);
        check_gradients([data], |[x]| {
            let y = resize_linear(x.reshape([2, 3, 4, 2, 2]), space);
            let factors = Numbers::new(9).floats(y.dims());
            let factors = Tensor::<Differentiable, 5>::from_data(factors, &y.device());
            (y * factors).sum()
        });
    }
}
