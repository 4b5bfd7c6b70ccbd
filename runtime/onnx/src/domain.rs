//! Domains of operators: the standard's, and that of the custom operators of this program.

/// Domain of the custom operators.
pub const DOMAIN: &str = "vesal";

/// Operator of [`DOMAIN`] that normalizes every channel of every volume of a batch and multiplies what is negative.
///
/// **Shapes**: input `[N, X, Y, Z, C]` and, in 32-bit floats, scale `[C]` and bias `[C]`; output as the input, and
/// a second one of 32-bit floats as working memory of the kernel. Its attributes are `epsilon` and
/// `slope`, the factor of what is negative: 0 is a ReLU, 1 no activation.
pub const NORM_LEAKY_RELU: &str = "NormLeakyRelu";

/// Operator of [`DOMAIN`] that convolves volumes.
///
/// **Shapes**: input `[N, C, X, Y, Z]`, weights `[F, C, kernel]` and optionally bias `[F]`; output `[N, F, X', Y', Z']`. Its
/// attributes are `strides` and `pads`, both always stated, as those of the standard's `Conv`. With the attribute
/// `output_padding` it is the standard's `ConvTranspose`, of weights `[C, F, kernel]`.
pub const CONVOLUTION: &str = "Convolution";

/// Operator of [`DOMAIN`] that averages values by how well queries and keys agree.
///
/// **Definition**: `softmax(queries · keys + bias[bias_of] + left[mask_of] · right[mask_of]) · values` in every group, with
/// the softmax along the keys.
///
/// **Shapes**: queries `[N, .., n, d]`, keys `[N, .., d, m]`, values `[N, .., m, e]`, where the axes `..` are the groups of a
/// case, the same number in all three; optionally bias `[.., n, m]`, and the mask's factors left `[.., n, r]` and right
/// `[.., r, m]`. The attributes `bias_of` and `mask_of` have the index of a matrix for every group. Output as values, with n
/// rows.
pub const ATTENTION: &str = "Attention";

/// Whether a domain is that of the standard operators.
pub(crate) fn is_default_domain(domain: Option<&str>) -> bool {
    matches!(domain, None | Some("" | "ai.onnx"))
}
