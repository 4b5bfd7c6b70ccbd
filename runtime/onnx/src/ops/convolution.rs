//! Attributes and shapes of convolutions, plain and transposed.

use super::node::OperatorNode;
use super::window::WindowAxis;
use crate::error::{AttributeProblem, CheckError, ShapeProblem};
use crate::limits::MAX_SIZE;
use crate::shape::{Dim, SymbolicShape};

/// Attributes of a convolution whose kernel has `A` spatial axes; lists have one value for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Convolution {
    pub kernel: Vec<i64>,
    pub strides: Vec<i64>,
    pub dilations: Vec<i64>,
    pub before: Vec<i64>,
    pub after: Vec<i64>,
    pub groups: i64,
    /// For a transposed convolution; otherwise zeros.
    pub output_padding: Vec<i64>,
    pub transposed: bool,
}

impl Convolution {
    /// Reads the attributes of a node whose weights have a kernel of this size.
    ///
    /// **Errors**: a list of another length, a value out of range, or another kernel than the weights have.
    pub fn read(
        node: &OperatorNode<'_>,
        kernel: Vec<i64>,
        transposed: bool,
    ) -> Result<Self, CheckError> {
        let axes = kernel.len();
        if let Some(found) = node.ints("kernel_shape")
            && found != kernel
        {
            let problem = AttributeProblem::Weights {
                found: found.to_vec(),
                expected: kernel,
            };
            return Err(node.attribute("kernel_shape", problem));
        }
        let strides = node.sizes("strides", axes, 1)?;
        let dilations = node.sizes("dilations", axes, 1)?;
        let mut before = node.sizes("pads", 2 * axes, 0)?;
        let after = before.split_off(axes);
        let output_padding = if transposed {
            node.sizes("output_padding", axes, 0)?
        } else {
            vec![0; axes]
        };
        let groups = node.int("group").unwrap_or(1);
        if !(1..=MAX_SIZE).contains(&groups) {
            return Err(node.range("group", groups, &format!("1 to {MAX_SIZE}")));
        }
        Ok(Self {
            kernel,
            strides,
            dilations,
            before,
            after,
            groups,
            output_padding,
            transposed,
        })
    }

    /// Size of the output along a spatial axis of this size.
    fn output(&self, axis: usize, size: i64) -> i64 {
        let window = WindowAxis {
            size,
            kernel: self.kernel[axis],
            stride: self.strides[axis],
            dilation: self.dilations[axis],
            before: self.before[axis],
            after: self.after[axis],
        };
        if self.transposed {
            window.transposed(self.output_padding[axis])
        } else {
            window.positions()
        }
    }

    /// Input and output channels of weights `[M, C / g, ...]`; transposed, of `[C, M / g, ...]`.
    fn channels(
        &self,
        node: &OperatorNode<'_>,
        weight: &SymbolicShape,
    ) -> Result<(i64, i64), CheckError> {
        let (first, second) = (node.fixed(weight, 0)?, node.fixed(weight, 1)?);
        if first % self.groups != 0 {
            return Err(node.problem(ShapeProblem::Channels {
                input: "weight",
                found: first.to_string(),
                expected: format!("a multiple of {} groups", self.groups),
            }));
        }
        let grouped = second.saturating_mul(self.groups);
        Ok(if self.transposed {
            (first, grouped)
        } else {
            (grouped, first)
        })
    }
}

/// Most axes of an image, batch and channels included.
const MAX_RANK: usize = 5;

/// `[N, C, ...]` and weights, with an optional bias `[M]` → `[N, M, ...]`; see [`WindowAxis`].
pub(super) fn shapes(
    node: &OperatorNode<'_>,
    transposed: bool,
) -> Result<Vec<SymbolicShape>, CheckError> {
    node.required(0, "first input")?;
    let weight = node.required(1, "weights")?;
    let x = node.image()?;
    if x.rank() > MAX_RANK {
        // ONNX Runtime copies the input once for each voxel of such a kernel.
        return Err(node.rank("input", x, format!("3 to {MAX_RANK}")));
    }
    if weight.rank() != x.rank() {
        return Err(node.rank("weight", weight, x.rank().to_string()));
    }
    let kernel = (2..weight.rank())
        .map(|axis| node.fixed(weight, axis))
        .collect::<Result<Vec<i64>, _>>()?;
    let convolution = Convolution::read(node, kernel, transposed)?;
    let (input_channels, output_channels) = convolution.channels(node, weight)?;
    node.same_channels("input", &x.0[1], input_channels)?;
    if let Some(bias) = node.shape(2) {
        node.vector("bias", bias, output_channels)?;
    }
    let mut output = vec![x.0[0].clone(), Dim::Fixed(output_channels)];
    for axis in 2..x.rank() {
        let found = convolution.output(axis - 2, node.fixed(x, axis)?);
        output.push(node.present(axis, found)?);
    }
    Ok(vec![SymbolicShape(output)])
}
