//! Sums over the devices of a training.

use std::fmt::Debug;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

/// Sums over several devices, seen from one of them.
///
/// All devices must sum tensors of the same shapes in the same order; until the last one takes part, the others wait.
pub trait Reduction<B: Backend>: Debug + Send {
    /// Sums each tensor with its counterparts on the other devices, in place where no other handle shares it.
    fn sum(&self, tensors: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>>;

    /// Flushes all computations so far to the device, without waiting.
    fn flush(&self) {}

    /// Waits until all computations so far were queued on the device, but not until they are done.
    fn wait_for_launches(&self) {}
}
