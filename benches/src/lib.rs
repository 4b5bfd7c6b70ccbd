//! Inputs that the benchmarks share.

use ndarray::{Array5, ArrayView5, CowArray, Ix5, concatenate};
use std::convert::Infallible;

use vesal_volume::phantom::{Phantom, PhantomError, PhantomSettings, make_phantom};
use vesal_volume::window::{Blend, Padding, PatchPredictor, WindowPlan};

/// A phantom of this shape at 1.2 mm.
///
/// **Errors**: [`PhantomError`] for a shape too small.
pub fn phantom(shape: [usize; 3]) -> Result<Phantom, PhantomError> {
    make_phantom(&PhantomSettings {
        shape,
        spacing_mm: [1.2; 3],
        ..PhantomSettings::new(1)
    })
}

/// Windows as Auto3DSeg places them.
pub fn window_plan(size: [usize; 3]) -> WindowPlan {
    WindowPlan {
        size,
        overlap: [0.625; 3],
        blend: Blend::Gaussian { sigma_scale: 0.125 },
        padding: Padding::Constant(0.0),
    }
}

/// A network that costs nothing: its three logits are its input.
#[derive(Debug, Clone, Copy)]
pub struct CopyPredictor;

impl PatchPredictor for CopyPredictor {
    type Error = Infallible;

    fn output_channels(&self) -> usize {
        3
    }

    fn max_batch(&self) -> usize {
        1
    }

    fn predict(
        &mut self,
        patches: ArrayView5<'_, f32>,
    ) -> Result<CowArray<'_, f32, Ix5>, Infallible> {
        let views = [patches.view(), patches.view(), patches.view()];
        Ok(concatenate(ndarray::Axis(1), &views)
            .unwrap_or_else(|_| Array5::zeros([0; 5]))
            .into())
    }
}
