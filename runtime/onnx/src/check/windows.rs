//! Shapes of what windows that move over an input give.

use super::error::{AttributeProblem, CheckError, ShapeProblem};
use super::shapes::{Dim, Node, Shape};

/// How often the windows of a pooling may look at a value of its input, on average: those of 3×3×3 voxels at every one do 27
/// times.
const MAX_LOOKS: u64 = 1 << 12;

impl Node<'_> {
    /// Convolution, plain or transposed.
    ///
    /// **Definition**: with `e = dilation (kernel - 1) + 1`, plain `floor((size + pads - e) / stride) + 1`, transposed
    /// `stride (size - 1) + output padding + e - pads`.
    pub(super) fn convolution(
        self,
        x: &Shape,
        weight: &Shape,
        bias: Option<&Shape>,
        transposed: bool,
    ) -> Result<Shape, CheckError> {
        if x.0.len() < 3 {
            return Err(self.rank("input", x, "at least 3".into()));
        }
        if weight.0.len() != x.0.len() {
            return Err(self.rank("weight", weight, x.0.len().to_string()));
        }
        let axes = x.0.len() - 2;
        let kernel = weight.0[2..]
            .iter()
            .enumerate()
            .map(|(axis, dim)| self.fixed(axis + 2, dim))
            .collect::<Result<Vec<i64>, _>>()?;
        if let Some(found) = self.ints("kernel_shape")
            && found != kernel
        {
            let problem = AttributeProblem::Weights {
                found: found.to_vec(),
                expected: kernel,
            };
            return Err(self.attribute("kernel_shape", problem));
        }
        let strides = self.sizes("strides", axes, 1, 1)?;
        let dilations = self.sizes("dilations", axes, 1, 1)?;
        let pads = self.sizes("pads", 2 * axes, 0, 0)?;
        let extra = self.sizes("output_padding", axes, 0, 0)?;
        let groups = self.group()?;

        let (input_channels, output_channels) = self.channels(&weight.0, groups, transposed)?;
        self.same_channels("input", &x.0[1], input_channels)?;
        if let Some(bias) = bias {
            self.vector("bias", bias, output_channels)?;
        }

        let mut output = vec![x.0[0].clone(), Dim::Fixed(output_channels)];
        for axis in 0..axes {
            let size = self.fixed(axis + 2, &x.0[axis + 2])?;
            let padding = pads[axis].saturating_add(pads[axis + axes]);
            let extent = dilations[axis]
                .saturating_mul(kernel[axis] - 1)
                .saturating_add(1);
            let found = if transposed {
                strides[axis]
                    .saturating_mul(size - 1)
                    .saturating_add(extra[axis])
                    .saturating_add(extent)
                    .saturating_sub(padding)
            } else {
                let room = size.saturating_add(padding).saturating_sub(extent);
                if room < 0 {
                    room
                } else {
                    room / strides[axis] + 1
                }
            };
            output.push(self.present(axis + 2, found)?);
        }
        Ok(Shape(output))
    }

    /// Channels in and out that the weights stand for: `[M, C / g, ...]` plain, `[C, M / g, ...]` transposed.
    fn channels(
        self,
        weight: &[Dim],
        groups: i64,
        transposed: bool,
    ) -> Result<(i64, i64), CheckError> {
        let (first, second) = (self.fixed(0, &weight[0])?, self.fixed(1, &weight[1])?);
        if first % groups != 0 {
            return Err(self.shape(ShapeProblem::Channels {
                input: "weight",
                found: first.to_string(),
                expected: format!("a multiple of {groups} groups"),
            }));
        }
        let grouped = second.saturating_mul(groups);
        Ok(if transposed {
            (first, grouped)
        } else {
            (grouped, first)
        })
    }

    /// A window that moves.
    ///
    /// **Definition**: that of a convolution; with `ceil_mode` rounded up, less a window that would begin behind the input.
    pub(super) fn pooling(self, x: &Shape) -> Result<Shape, CheckError> {
        if x.0.len() < 3 {
            return Err(self.rank("input", x, "at least 3".into()));
        }
        let axes = x.0.len() - 2;
        if self.find("kernel_shape").is_none() {
            return Err(self.range("kernel_shape", "missing", "as many sizes as axes of space"));
        }
        let kernel = self.sizes("kernel_shape", axes, 1, 1)?;
        let strides = self.sizes("strides", axes, 1, 1)?;
        let dilations = self.sizes("dilations", axes, 1, 1)?;
        let pads = self.sizes("pads", 2 * axes, 0, 0)?;
        let up = self.find("ceil_mode").and_then(|attribute| attribute.i) == Some(1);
        let mut output = x.0[..2].to_vec();
        let (mut looks, mut voxels) = (1_u128, 1_u128);
        for axis in 0..axes {
            let size = self.fixed(axis + 2, &x.0[axis + 2])?;
            let (before, after) = (pads[axis], pads[axis + axes]);
            let extent = dilations[axis]
                .saturating_mul(kernel[axis] - 1)
                .saturating_add(1);
            if before >= extent || after >= extent {
                return Err(self.range("pads", before.max(after), "less than the window"));
            }
            let room = size
                .saturating_add(before)
                .saturating_add(after)
                .saturating_sub(extent);
            let stride = strides[axis];
            let mut found = if room < 0 { room } else { room / stride + 1 };
            if up && room > 0 && room % stride != 0 {
                // The last window begins in the input or in what is padded before it.
                let begins_inside = found.saturating_mul(stride) < size.saturating_add(before);
                found += i64::from(begins_inside);
            }
            output.push(self.present(axis + 2, found)?);
            let (found, kernel) = (found.unsigned_abs(), kernel[axis].unsigned_abs());
            looks = looks.saturating_mul(u128::from(found) * u128::from(kernel));
            voxels = voxels.saturating_mul(u128::from(size.unsigned_abs()));
        }
        if looks > voxels.saturating_mul(MAX_LOOKS.into()) {
            return Err(self.shape(ShapeProblem::Looks {
                found: looks / voxels,
                most: MAX_LOOKS,
            }));
        }
        Ok(Shape(output))
    }

    pub(super) fn global_pooling(self, x: &Shape) -> Result<Shape, CheckError> {
        if x.0.len() < 3 {
            return Err(self.rank("input", x, "at least 3".into()));
        }
        let mut shape = x.clone();
        shape.0[2..].fill(Dim::Fixed(1));
        Ok(shape)
    }
}
