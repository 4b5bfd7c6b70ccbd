//! Shapes of poolings.

use super::node::OperatorNode;
use super::window::WindowAxis;
use crate::error::{CheckError, ShapeProblem};
use crate::shape::SymbolicShape;

/// Largest average number of windows of a pooling that cover an input value: 3×3×3 windows with stride 1 have 27.
const MAX_LOOKS: u64 = 1 << 12;

/// `[N, C, ...]` → the number of positions of the window along every spatial axis; see [`WindowAxis`].
pub(super) fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let x = node.image()?;
    let axes = x.rank() - 2;
    let kernel = node.sizes("kernel_shape", axes, 1)?;
    let strides = node.sizes("strides", axes, 1)?;
    let dilations = node.sizes("dilations", axes, 1)?;
    let pads = node.sizes("pads", 2 * axes, 0)?;
    let rounds_up = node.int("ceil_mode") == Some(1);
    let mut output = x.0[..2].to_vec();
    let (mut looks, mut voxels) = (1_u128, 1_u128);
    for axis in 0..axes {
        let window = WindowAxis {
            size: node.fixed(x, axis + 2)?,
            kernel: kernel[axis],
            stride: strides[axis],
            dilation: dilations[axis],
            before: pads[axis],
            after: pads[axis + axes],
        };
        let pad = window.before.max(window.after);
        if pad >= window.extent() {
            return Err(node.range("pads", pad, "less than the window"));
        }
        let found = if rounds_up {
            window.positions_rounded_up()
        } else {
            window.positions()
        };
        output.push(node.present(axis + 2, found)?);
        let (found, kernel) = (found.unsigned_abs(), window.kernel.unsigned_abs());
        looks = looks.saturating_mul(u128::from(found) * u128::from(kernel));
        voxels = voxels.saturating_mul(u128::from(window.size.unsigned_abs()));
    }
    if looks > voxels.saturating_mul(MAX_LOOKS.into()) {
        return Err(node.problem(ShapeProblem::Looks {
            found: looks / voxels.max(1),
            most: MAX_LOOKS,
        }));
    }
    Ok(vec![SymbolicShape(output)])
}
