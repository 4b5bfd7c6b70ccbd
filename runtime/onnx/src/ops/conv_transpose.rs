//! `ConvTranspose`: the transpose of a convolution with explicit padding.

use super::attribute::Attribute;
use super::convolution;
use super::operator::{HalfInputs, Operator, User};

pub(super) const CONV_TRANSPOSE: Operator = Operator {
    since: 1,
    attributes: &[
        Attribute::AUTO_PAD,
        Attribute::ones("dilations"),
        Attribute::int("group", 1),
        Attribute::derived_ints("kernel_shape"),
        Attribute::zeros("output_padding"),
        Attribute::zeros("pads"),
        Attribute::ones("strides"),
    ],
    half: Some(HalfInputs::All),
    working: columns,
    user: User::Exporter,
    ..Operator::new("ConvTranspose", [2, 3], |node| {
        convolution::shapes(node, true)
    })
};

/// Elements of the matrix that ONNX Runtime sums into the output on a processor: for each voxel of a case, what it adds to
/// each output channel and voxel of the kernel.
fn columns(inputs: &[&[u64]]) -> u64 {
    let product = |sizes: &[u64]| sizes.iter().copied().fold(1, u64::saturating_mul);
    match inputs {
        [x, weight, ..] if x.len() > 2 && weight.len() > 2 => {
            product(&weight[1..]).saturating_mul(product(&x[2..]))
        }
        _ => 0,
    }
}
