//! The operators that networks may have: one table for whoever writes, checks, rewrites, plans or loads a network.
//!
//! An operator is here if the shape of what it gives follows from shapes, attributes and constants, so that its memory is
//! known before anything runs, and if its work is bounded by the file and the sizes of what it takes and gives: kernels of
//! convolutions lie in the file, and the check limits how often windows of poolings overlap. Those that run graphs (`Loop`,
//! `If`, `Scan`), make up values (`RandomNormal`) or look at values to decide about shapes (`NonZero`, `Reshape` by a
//! computed shape) are not.

use crate::proto::AttributeType;

/// Newest operator set whose operators are known.
///
/// **Source**: the operator schemas of ONNX 1.23.
pub const NEWEST_OPSET: i64 = 28;

/// An operator of the default domain.
#[derive(Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its name.
    pub name: &'static str,
    /// Oldest operator set in which it takes and gives what is said here; the newest is [`NEWEST_OPSET`].
    pub since: i64,
    /// Fewest and most inputs; those behind the fewest may be left out. It has one output.
    pub inputs: [usize; 2],
    /// Its attributes, as far as they are allowed. Those that make padding implicit are not.
    pub attributes: &'static [(&'static str, Kind)],
    /// What shape it gives.
    pub shape: Rule,
    /// Whether ONNX Runtime puts what it gives in the place of an input that nothing else takes.
    pub in_place: bool,
    /// Which inputs become 16-bit floats in a network of these, if it can be in one.
    pub half: Option<Halves>,
    /// Who uses it.
    pub user: User,
}

/// Who uses an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Exported networks; whoever loads one knows it.
    Exporter,
    /// Networks that others made.
    Foreign,
    /// Networks that were rewritten when they were loaded: in a file it is refused.
    Rewrite,
}

/// Inputs that become 16-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halves {
    /// All: inputs and output share one type.
    All,
    /// The first: the others stay as they are.
    First,
}

/// Type of an attribute, and what it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Int,
    /// An integer that has to be 0: what else it says is of no use here.
    Zero,
    /// Integers.
    Ints,
    /// A float.
    Float,
    /// One of these texts.
    Text(&'static [&'static str]),
}

impl Kind {
    /// The type in the format.
    pub fn attribute_type(self) -> AttributeType {
        match self {
            Self::Int | Self::Zero => AttributeType::Int,
            Self::Ints => AttributeType::Ints,
            Self::Float => AttributeType::Float,
            Self::Text(_) => AttributeType::String,
        }
    }
}

/// How the shape of an output follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// That of the first input.
    Same,
    /// That of the first input; the others are scalars.
    Limited,
    /// That of the first input, `[N, C, ...]`; the others are `[C]`.
    Normalization,
    /// Of a convolution.
    Convolution,
    /// Of a transposed convolution.
    Transposed,
    /// Of two shapes, axes of size 1 repeated.
    Broadcast,
    /// That of the first input, to which the second is repeated.
    Repeated,
    /// Of all inputs, one behind the other along an axis.
    Concatenation,
    /// That of the first input, along one of whose axes it works, but for that of the batch.
    Along,
    /// Of a window that moves.
    Pooling,
    /// One voxel for each channel.
    GlobalPooling,
    /// Of the first input, by constant factors or sizes.
    Resize,
    /// That of the first input, in another order.
    Permutation,
}

const PADDING: (&str, Kind) = ("auto_pad", Kind::Text(&["NOTSET"]));
const EPSILON: &[(&str, Kind)] = &[("epsilon", Kind::Float)];

const fn operator(name: &'static str, since: i64, inputs: [usize; 2], shape: Rule) -> Operator {
    Operator {
        name,
        since,
        inputs,
        attributes: &[],
        shape,
        in_place: false,
        half: None,
        user: User::Foreign,
    }
}

impl Operator {
    const fn with(mut self, attributes: &'static [(&'static str, Kind)]) -> Self {
        self.attributes = attributes;
        self
    }

    const fn exported(mut self) -> Self {
        self.user = User::Exporter;
        self
    }

    const fn of_rewrites(mut self) -> Self {
        self.user = User::Rewrite;
        self
    }

    const fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }

    const fn half(mut self, halves: Halves) -> Self {
        self.half = Some(halves);
        self
    }

    /// Whether a network's file may have it.
    pub fn is_loaded(&self) -> bool {
        self.user != User::Rewrite
    }

    /// Whether an exported network may have it.
    pub fn is_exported(&self) -> bool {
        self.user == User::Exporter
    }
}

/// Most inputs of a concatenation.
const MANY: usize = 256;

/// All operators, by name.
///
/// **Source**: the schemas of ONNX 1.23; `since` is the oldest version from which on the definition stayed the same for
/// 32-bit floats and the attributes that are allowed.
pub const OPERATORS: &[Operator] = &[
    operator("Add", 7, [2, 2], Rule::Broadcast)
        .exported()
        .in_place()
        .half(Halves::All),
    operator("AveragePool", 7, [1, 1], Rule::Pooling).with(&[
        PADDING,
        ("ceil_mode", Kind::Int),
        ("count_include_pad", Kind::Int),
        ("dilations", Kind::Ints),
        ("kernel_shape", Kind::Ints),
        ("pads", Kind::Ints),
        ("strides", Kind::Ints),
    ]),
    operator("BatchNormalization", 9, [5, 5], Rule::Normalization).with(&[
        ("epsilon", Kind::Float),
        ("momentum", Kind::Float),
        ("training_mode", Kind::Zero),
    ]),
    operator("Cast", 13, [1, 1], Rule::Same)
        .with(&[("to", Kind::Int)])
        .of_rewrites(),
    operator("Clip", 11, [1, 3], Rule::Limited),
    operator("Concat", 4, [1, MANY], Rule::Concatenation)
        .with(&[("axis", Kind::Int)])
        .half(Halves::All),
    operator("Conv", 1, [2, 3], Rule::Convolution)
        .with(&[
            PADDING,
            ("dilations", Kind::Ints),
            ("group", Kind::Int),
            ("kernel_shape", Kind::Ints),
            ("pads", Kind::Ints),
            ("strides", Kind::Ints),
        ])
        .exported()
        .half(Halves::All),
    operator("ConvTranspose", 1, [2, 3], Rule::Transposed)
        .with(&[
            PADDING,
            ("dilations", Kind::Ints),
            ("group", Kind::Int),
            ("kernel_shape", Kind::Ints),
            ("output_padding", Kind::Ints),
            ("pads", Kind::Ints),
            ("strides", Kind::Ints),
        ])
        .exported()
        .half(Halves::All),
    operator("Div", 7, [2, 2], Rule::Broadcast),
    operator("Elu", 6, [1, 1], Rule::Same).with(&[("alpha", Kind::Float)]),
    operator("Erf", 9, [1, 1], Rule::Same),
    operator("Gelu", 20, [1, 1], Rule::Same)
        .with(&[("approximate", Kind::Text(&["none", "tanh"]))]),
    operator("GlobalAveragePool", 1, [1, 1], Rule::GlobalPooling),
    operator("GroupNormalization", 21, [3, 3], Rule::Normalization).with(&[
        ("epsilon", Kind::Float),
        ("num_groups", Kind::Int),
        ("stash_type", Kind::Int),
    ]),
    operator("HardSigmoid", 6, [1, 1], Rule::Same)
        .with(&[("alpha", Kind::Float), ("beta", Kind::Float)]),
    operator("HardSwish", 14, [1, 1], Rule::Same),
    operator("Identity", 1, [1, 1], Rule::Same),
    operator("InstanceNormalization", 6, [3, 3], Rule::Normalization)
        .with(EPSILON)
        .exported()
        .half(Halves::All),
    operator("LeakyRelu", 6, [1, 1], Rule::Same)
        .with(&[("alpha", Kind::Float)])
        .half(Halves::All),
    operator("MaxPool", 8, [1, 1], Rule::Pooling).with(&[
        PADDING,
        ("ceil_mode", Kind::Int),
        ("dilations", Kind::Ints),
        ("kernel_shape", Kind::Ints),
        ("pads", Kind::Ints),
        ("storage_order", Kind::Zero),
        ("strides", Kind::Ints),
    ]),
    operator("Mish", 18, [1, 1], Rule::Same),
    operator("Mul", 7, [2, 2], Rule::Broadcast),
    operator("PRelu", 9, [2, 2], Rule::Repeated),
    operator("Relu", 6, [1, 1], Rule::Same)
        .exported()
        .in_place()
        .half(Halves::All),
    operator("Resize", 13, [1, 4], Rule::Resize)
        .with(&[
            ("antialias", Kind::Zero),
            (
                "coordinate_transformation_mode",
                Kind::Text(&[
                    "half_pixel",
                    "pytorch_half_pixel",
                    "align_corners",
                    "asymmetric",
                ]),
            ),
            ("cubic_coeff_a", Kind::Float),
            ("exclude_outside", Kind::Zero),
            ("extrapolation_value", Kind::Float),
            ("mode", Kind::Text(&["nearest", "linear", "cubic"])),
            (
                "nearest_mode",
                Kind::Text(&["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]),
            ),
        ])
        .half(Halves::First),
    operator("Selu", 6, [1, 1], Rule::Same).with(&[("alpha", Kind::Float), ("gamma", Kind::Float)]),
    operator("Sigmoid", 6, [1, 1], Rule::Same),
    operator("Softmax", 13, [1, 1], Rule::Along).with(&[("axis", Kind::Int)]),
    operator("Softplus", 1, [1, 1], Rule::Same),
    operator("Sub", 7, [2, 2], Rule::Broadcast),
    operator("Tanh", 6, [1, 1], Rule::Same),
    operator("Transpose", 1, [1, 1], Rule::Permutation)
        .with(&[("perm", Kind::Ints)])
        .half(Halves::All),
];

/// The operator of this name in the default domain, if it is known.
pub fn find(name: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.name == name)
}

/// Names of the operators of which this is true.
pub fn names(keep: impl Fn(&Operator) -> bool) -> Vec<&'static str> {
    let kept = OPERATORS.iter().filter(|operator| keep(operator));
    kept.map(|operator| operator.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_consistent() {
        assert!(OPERATORS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for operator in OPERATORS {
            let [least, most] = operator.inputs;
            assert!(1 <= least && least <= most, "{}", operator.name);
            assert!(
                (1..=NEWEST_OPSET).contains(&operator.since),
                "{}",
                operator.name
            );
            let names = operator.attributes;
            assert!(
                names.windows(2).all(|pair| pair[0].0 < pair[1].0),
                "{}",
                operator.name
            );
        }
        let exported = names(Operator::is_exported);
        assert_eq!(
            exported,
            [
                "Add",
                "Conv",
                "ConvTranspose",
                "InstanceNormalization",
                "Relu"
            ]
        );
    }

    /// The operator's line in the table of FORMAT.md.
    fn row(operator: &Operator) -> String {
        let attribute = |(name, kind): &(&str, Kind)| match kind {
            Kind::Zero => format!("`{name}` (0)"),
            Kind::Text(allowed) => format!("`{name}` (`{}`)", allowed.join("`, `")),
            Kind::Int | Kind::Ints | Kind::Float => format!("`{name}`"),
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
        let format = include_str!("../../bundle/FORMAT.md");
        let mut lines = format
            .lines()
            .skip_while(|line| !line.starts_with("| operator |"));
        let listed: Vec<&str> = lines
            .by_ref()
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        let known: Vec<String> = OPERATORS
            .iter()
            .filter(|operator| operator.is_loaded())
            .map(row)
            .collect();
        assert_eq!(listed, known);
        let opsets = format!("Opsets up to {NEWEST_OPSET} are known");
        assert!(format.contains(&opsets), "{opsets}");
    }

    #[test]
    fn what_runs_graphs_makes_values_up_or_decides_about_shapes_is_not_there() {
        for name in [
            "Loop",
            "If",
            "Scan",
            "RandomNormal",
            "NonZero",
            "Reshape",
            "Constant",
            "NormRelu",
        ] {
            assert_eq!(find(name), None, "{name}");
        }
    }
}
