//! The operators that networks may have: one table for writing, checking, rewriting, planning and loading networks.
//!
//! An operator is a module and a line of [`OPERATORS`]. It is permitted if the shapes of its outputs follow from
//! shapes, attributes and constants, so that its memory is known before anything runs, and if its work is bounded by
//! the sizes of its inputs and outputs: kernels of convolutions are in the file, and the check limits how often windows
//! of poolings overlap. Operators that run graphs (`Loop`, `If`, `Scan`), draw random values (`RandomNormal`) or give
//! shapes that depend on values (`NonZero`, `Reshape` by a computed shape) are not.
//!
//! The first axis of a value is the batch, the only free size: every rule keeps it, and none mixes the volumes of a
//! batch.

mod add;
mod attention;
mod attribute;
mod average_pool;
mod batch_normalization;
mod cast;
mod clip;
mod concat;
mod conv;
mod conv_transpose;
mod convolution;
mod div;
mod elementwise;
mod elu;
mod erf;
mod gather;
mod gelu;
mod gemm;
mod global_average_pool;
mod group_normalization;
mod hard_sigmoid;
mod hard_swish;
mod identity;
mod input;
mod instance_normalization;
mod layer_normalization;
mod leaky_relu;
mod mat_mul;
mod max_pool;
mod mish;
mod mul;
mod node;
mod normalization;
mod operator;
mod pad;
mod pooling;
mod pow;
mod prelu;
mod reduce_mean;
mod relu;
mod reshape;
mod resize;
mod selu;
mod sigmoid;
mod slice;
mod softmax;
mod softplus;
mod split;
mod sqrt;
mod sub;
mod tanh;
mod transpose;
mod window;

pub use attribute::{Attribute, DefaultValue, Kind};
pub(crate) use convolution::Convolution;
pub use gather::MAX_INDICES;
pub(crate) use input::NodeInput;
pub use operator::{HalfInputs, Operator, User};
pub(crate) use window::WindowAxis;

use crate::domain::{ATTENTION, DOMAIN};
use crate::proto::NodeProto;

/// All operators, by name.
///
/// **Source**: the schemas of ONNX 1.23.
pub const OPERATORS: &[&Operator] = &[
    &add::ADD,
    &average_pool::AVERAGE_POOL,
    &batch_normalization::BATCH_NORMALIZATION,
    &cast::CAST,
    &clip::CLIP,
    &concat::CONCAT,
    &conv::CONV,
    &conv_transpose::CONV_TRANSPOSE,
    &div::DIV,
    &elu::ELU,
    &erf::ERF,
    &gather::GATHER,
    &gelu::GELU,
    &gemm::GEMM,
    &global_average_pool::GLOBAL_AVERAGE_POOL,
    &group_normalization::GROUP_NORMALIZATION,
    &hard_sigmoid::HARD_SIGMOID,
    &hard_swish::HARD_SWISH,
    &identity::IDENTITY,
    &instance_normalization::INSTANCE_NORMALIZATION,
    &layer_normalization::LAYER_NORMALIZATION,
    &leaky_relu::LEAKY_RELU,
    &mat_mul::MAT_MUL,
    &max_pool::MAX_POOL,
    &mish::MISH,
    &mul::MUL,
    &prelu::PRELU,
    &pad::PAD,
    &pow::POW,
    &reduce_mean::REDUCE_MEAN,
    &relu::RELU,
    &reshape::RESHAPE,
    &resize::RESIZE,
    &selu::SELU,
    &sigmoid::SIGMOID,
    &slice::SLICE,
    &softmax::SOFTMAX,
    &softplus::SOFTPLUS,
    &split::SPLIT,
    &sqrt::SQRT,
    &sub::SUB,
    &tanh::TANH,
    &transpose::TRANSPOSE,
];

/// The operator of this name in the default domain, if it is known.
pub fn find(name: &str) -> Option<&'static Operator> {
    OPERATORS
        .iter()
        .find(|operator| operator.name == name)
        .copied()
}

/// The operator of a node, one of this program's included, if it is known.
pub(crate) fn of_node(node: &NodeProto) -> Option<&'static Operator> {
    match node.is_custom(DOMAIN, ATTENTION) {
        true => Some(&attention::ATTENTION),
        false => find(&node.operator()),
    }
}

/// Names of the operators that satisfy a condition.
pub fn names(keep: impl Fn(&Operator) -> bool) -> Vec<&'static str> {
    let kept = OPERATORS.iter().filter(|operator| keep(operator));
    kept.map(|operator| operator.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::NEWEST_OPSET;

    #[test]
    fn the_table_is_in_order_and_consistent() {
        assert!(OPERATORS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for operator in OPERATORS {
            let [least, most] = operator.inputs;
            assert!(1 <= least && least <= most, "{}", operator.name);
            let integers = operator.integers;
            assert!(
                integers.iter().all(|&index| (1..most).contains(&index)),
                "{}",
                operator.name
            );
            assert!(
                (1..=NEWEST_OPSET).contains(&operator.since),
                "{}",
                operator.name
            );
            let names = operator.attributes;
            assert!(
                names.windows(2).all(|pair| pair[0].name < pair[1].name),
                "{}",
                operator.name
            );
        }
        let exported = names(Operator::is_exported);
        assert_eq!(
            exported,
            [
                "Add",
                "BatchNormalization",
                "Concat",
                "Conv",
                "ConvTranspose",
                "Gather",
                "Gelu",
                "InstanceNormalization",
                "LayerNormalization",
                "LeakyRelu",
                "MatMul",
                "Mul",
                "Pad",
                "Relu",
                "Reshape",
                "Slice",
                "Softmax",
                "Transpose",
            ]
        );
    }

    /// The operator's line in the table of FORMAT.md.
    fn row(operator: &Operator) -> String {
        let attribute = |attribute: &Attribute| {
            let name = attribute.name;
            match attribute.kind {
                Kind::Zero => format!("`{name}` (0)"),
                Kind::Text(allowed) => format!("`{name}` (`{}`)", allowed.join("`, `")),
                Kind::Int | Kind::Ints | Kind::Float => format!("`{name}`"),
            }
        };
        let attributes: Vec<String> = operator.attributes.iter().map(attribute).collect();
        let inputs = match operator.inputs {
            [least, most] if least == most => least.to_string(),
            [least, most] => format!("{least} to {most}"),
        };
        let (name, since) = (operator.name, operator.since);
        format!(
            "| {name} | {since} | {inputs} | {} |",
            attributes.join(", ")
        )
    }

    #[test]
    fn the_format_of_bundles_lists_the_operators() {
        let format = include_str!("../../../bundle/FORMAT.md");
        let mut lines = format
            .lines()
            .skip_while(|line| !line.starts_with("| operator |"));
        let listed: Vec<&str> = lines
            .by_ref()
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        let loaded = OPERATORS.iter().filter(|operator| operator.is_loaded());
        let known: Vec<String> = loaded.map(|operator| row(operator)).collect();
        assert_eq!(listed, known);
        let opsets = format!("Opsets up to {NEWEST_OPSET} are known");
        assert!(format.contains(&opsets), "{opsets}");
    }

    #[test]
    fn operators_of_graphs_random_values_and_computed_shapes_are_not_there() {
        for name in [
            "Loop",
            "If",
            "Scan",
            "RandomNormal",
            "NonZero",
            "Shape",
            "Constant",
            "NormLeakyRelu",
        ] {
            assert!(find(name).is_none(), "{name}");
        }
    }
}
