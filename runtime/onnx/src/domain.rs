//! Domains of operators: the standard's, and that of the custom operators of this program.

/// Domain of the custom operators.
pub const DOMAIN: &str = "vesal";

/// Operator of [`DOMAIN`] that normalizes every channel of every volume of a batch and sets what is negative to 0.
///
/// **Shapes**: input `[N, X, Y, Z, C]` and, in 32-bit floats, scale `[C]` and bias `[C]`; output as the input, and
/// a second one of 32-bit floats as working memory of the kernel. Its attribute is `epsilon`.
pub const NORM_RELU: &str = "NormRelu";

/// Operator of [`DOMAIN`] that convolves volumes.
///
/// **Shapes**: input `[N, C, X, Y, Z]`, weights `[F, C, kernel]` and optionally bias `[F]`; output `[N, F, X', Y', Z']`. Its
/// attributes are `strides` and `pads`, both always stated, as those of the standard's `Conv`. With the attribute
/// `output_padding` it is the standard's `ConvTranspose`, of weights `[C, F, kernel]`.
pub const CONVOLUTION: &str = "Convolution";

/// Whether a domain is that of the standard operators.
pub(crate) fn is_default_domain(domain: Option<&str>) -> bool {
    matches!(domain, None | Some("" | "ai.onnx"))
}
