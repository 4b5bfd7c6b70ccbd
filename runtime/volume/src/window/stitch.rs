//! Predicting a whole volume, at once or plane by plane.

use std::convert::Infallible;
use std::ops::ControlFlow;

use ndarray::{Array3, Array4, ArrayView4, Axis};

use super::blending::Blending;
use super::grid::WindowGrid;
use super::inferer::{
    SlidingWindowInferer, StitchError, WindowProgress, filled, patches, too_large,
};
use super::plan::WindowPlan;
use super::predictor::PatchPredictor;

/// Predicts a volume window by window and blends the outputs.
///
/// **Shapes**: `[C, X, Y, Z]` → `[K, X, Y, Z]` with K the predictor's output channels.
///
/// **Definition**: all planes of a [`SlidingWindowInferer`]; padding is cut off again.
///
/// **Errors**: an invalid plan, an empty volume or predictor, a failed prediction or one of the wrong shape, or too
/// little memory.
pub fn stitch<P: PatchPredictor>(
    volume: ArrayView4<'_, f32>,
    plan: &WindowPlan,
    predictor: &mut P,
) -> Result<Array4<f32>, StitchError<P::Error>> {
    let (_, x, y, z) = volume.dim();
    let grid = WindowGrid::new([x, y, z], plan)?;
    let batch = predictor.max_batch().min(grid.count());
    // Checked before the weights of a window are computed, because the window may be too large.
    drop(patches(volume, plan, predictor, batch)?);
    let shape = [predictor.output_channels(), x, y, z];
    let mut output =
        Array4::from_shape_vec(shape, filled(&shape, 0.0)?).map_err(|_| too_large(&shape))?;
    let mut planes = output.axis_iter_mut(Axis(1));
    let ControlFlow::Continue(()) = stitch_planes::<P, Infallible>(
        volume,
        plan,
        predictor,
        |_| ControlFlow::Continue(()),
        |plane| {
            if let Some(mut to) = planes.next() {
                to.assign(&plane);
            }
            ControlFlow::Continue(())
        },
    )?;
    Ok(output)
}

/// As [`stitch`], but passes every plane, `[K, Y, Z]`, to `take` as soon as it is complete, in the order of X.
///
/// `progress` is called before the first batch of windows and after every one. Where either breaks, its value is
/// returned.
///
/// **Errors**: those of [`stitch`].
pub fn stitch_planes<P: PatchPredictor, B>(
    volume: ArrayView4<'_, f32>,
    plan: &WindowPlan,
    predictor: &mut P,
    mut progress: impl FnMut(WindowProgress) -> ControlFlow<B>,
    mut take: impl FnMut(Array3<f32>) -> ControlFlow<B>,
) -> Result<ControlFlow<B>, StitchError<P::Error>> {
    let (_, x, y, z) = volume.dim();
    let blending = Blending::new([x, y, z], plan)?;
    let mut inferer = SlidingWindowInferer::new(volume, plan, &blending, predictor)?;
    loop {
        let at = inferer.progress();
        if let ControlFlow::Break(reason) = progress(at) {
            return Ok(ControlFlow::Break(reason));
        }
        while let Some(plane) = inferer.pop() {
            if let ControlFlow::Break(reason) = take(plane) {
                return Ok(ControlFlow::Break(reason));
            }
        }
        if at.done == at.total {
            return Ok(ControlFlow::Continue(()));
        }
        inferer.step(predictor)?;
    }
}
