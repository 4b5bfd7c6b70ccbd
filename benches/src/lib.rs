//! Inputs that the benchmarks share.

use ndarray::{Array4, Array5, ArrayView5, CowArray, Ix5, concatenate};
use std::convert::Infallible;

use vesal_volume::phantom::{Phantom, PhantomError, PhantomSettings, make_phantom};
use vesal_volume::window::{Blend, Padding, PatchPredictor, WindowPlan};
use vesal_volume::{Affine, Volume};

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

/// A synthetic CT scan: axes to the left, posterior and superior, a body of -100 to 300 HU in air.
pub fn ct(shape: [usize; 3], spacing_mm: [f64; 3]) -> Volume {
    let [x, y, z] = shape;
    let data = Array4::from_shape_fn((1, x, y, z), |(_, x, y, z)| {
        let from_center = |index: usize, n: usize| 2.0 * (index as f32 + 0.5) / n as f32 - 1.0;
        let (dx, dy) = (from_center(x, shape[0]), from_center(y, shape[1]));
        let noise = (x * 193 + y * 71 + z * 37) % 401;
        if dx * dx + dy * dy < 0.7 {
            noise as f32 - 100.0
        } else {
            -1024.0
        }
    });
    let [x, y, z] = spacing_mm;
    Volume {
        data,
        affine: Affine::from_spacing([-x, -y, z]),
    }
}

/// Logits of a synthetic network, `[K, X, Y, Z]`, from -8 to 8.
pub fn logits(classes: usize, shape: [usize; 3]) -> Array4<f32> {
    let [x, y, z] = shape;
    Array4::from_shape_fn((classes, x, y, z), |(k, x, y, z)| {
        ((k * 389 + x * 193 + y * 71 + z * 37) % 1009) as f32 / 63.0 - 8.0
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
