//! Losses and their gradients.

use burn::tensor::{DType, Int, Tensor, TensorData};
use vesal_kernels::BackendOps;
use vesal_kernels::cuda::Cuda;

use super::truth::{self, Array};
use super::{Checks, Strides, primitive};

impl Checks {
    /// Dice plus cross entropy and Dice plus focal loss, each with its gradient.
    pub fn losses(&mut self, shape: [usize; 5], fine: [usize; 3], dtype: DType, strides: Strides) {
        let name = format!("{shape:?}, classes {fine:?}, {dtype:?}, {strides:?}");
        let [n, .., k] = shape;
        let mut logits = Array::random(&shape, 5);
        logits.values.iter_mut().for_each(|value| *value *= 4.0);
        let [x, y, z] = fine;
        // Some without a class.
        let classes: Vec<i32> = Array::random(&[n, x, y, z], 6)
            .values
            .iter()
            .map(|value| (value * 256.0) as i32 % (k as i32 + 1))
            .collect();
        let data = TensorData::new(classes.clone(), [n, x, y, z]);
        let tensor = Tensor::<Cuda, 4, Int>::from_data(data, &self.device);
        let to_classes = tensor.into_primitive();
        let to_logits = self.activations(&logits, dtype, strides);
        let factor = 64.0;
        let tolerance = if dtype == DType::F32 { 1e-4 } else { 2e-3 };
        let upstream = || primitive(Tensor::<Cuda, 1>::full([1], factor, &self.device));
        let [own, upstream] = [(); 2].map(|()| upstream());

        let [loss, sums, gradient] = truth::dice_ce(&logits, &classes, fine, factor);
        let computed = Cuda::dice_ce(to_logits.clone(), to_classes.clone());
        self.compare(&format!("loss {name}"), computed.loss, &loss, 1e-5);
        self.compare("  sums", computed.sums.clone(), &sums, 1e-5);
        let computed =
            Cuda::dice_ce_gradient(to_logits.clone(), to_classes.clone(), computed.sums, own);
        self.compare("  gradient", computed, &gradient, tolerance);

        let [loss, sums, gradient] = truth::dice_focal(&logits, &classes, fine, factor);
        let computed = Cuda::dice_focal(to_logits.clone(), to_classes.clone());
        self.compare(&format!("focal {name}"), computed.loss, &loss, 1e-5);
        self.compare("  sums", computed.sums.clone(), &sums, 1e-5);
        let computed = Cuda::dice_focal_gradient(to_logits, to_classes, computed.sums, upstream);
        self.compare("  gradient", computed, &gradient, tolerance);
    }
}
