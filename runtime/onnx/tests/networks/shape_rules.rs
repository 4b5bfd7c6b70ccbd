//! The shape rule of each operator, on one node whose first input is `x`.

use prost::Message;
use vesal_onnx::check::{AttributeProblem, CheckError, InitializerProblem, ShapeProblem};
use vesal_onnx::proto::{
    AttributeProto, AttributeType, ModelProto, NodeProto, TensorDataType, TensorProto,
};
use vesal_onnx::{AxisSize, GraphBuilder, OnnxModel};

use crate::parts::{attributed, graph};

fn constant(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>() as usize;
    TensorProto {
        dims: dims.to_vec(),
        data_type: Some(TensorDataType::Float as i32),
        name: Some(name.into()),
        raw_data: Some(vec![0; 4 * count].into()),
        ..Default::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        dims: vec![values.len() as i64],
        data_type: Some(TensorDataType::Int64 as i32),
        name: Some(name.into()),
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        i: Some(value),
        ..AttributeProto::int(name, 0)
    }
}

fn text(name: &str, value: &str) -> AttributeProto {
    attributed(AttributeType::String, |attribute| {
        attribute.name = Some(name.into());
        attribute.s = Some(value.into());
    })
}

/// A node of `x`, `[batch, ...]`, and constants.
struct Case {
    operator: &'static str,
    x: Vec<usize>,
    attributes: Vec<AttributeProto>,
    constants: Vec<TensorProto>,
}

fn case(operator: &'static str, x: &[usize]) -> Case {
    Case {
        operator,
        x: x.to_vec(),
        attributes: Vec::new(),
        constants: Vec::new(),
    }
}

impl Case {
    fn with(mut self, attribute: AttributeProto) -> Self {
        self.attributes.push(attribute);
        self
    }

    fn and(mut self, constant: TensorProto) -> Self {
        self.constants.push(constant);
        self
    }

    /// The network whose outputs have these sizes behind the batch.
    fn model(&self, outputs: &[&[usize]]) -> ModelProto {
        let shape = |sizes: &[usize]| {
            let sizes = sizes.iter().map(|&size| AxisSize::Fixed(size));
            [AxisSize::Free("batch")]
                .into_iter()
                .chain(sizes)
                .collect::<Vec<_>>()
        };
        let mut made = GraphBuilder::new("case");
        made.input("x", &shape(&self.x));
        let names: Vec<String> = (0..outputs.len())
            .map(|index| format!("y{index}"))
            .collect();
        for (name, sizes) in names.iter().zip(outputs) {
            made.output(name, &shape(sizes));
        }
        let mut model = made.finish("test");
        let constants = self.constants.iter().map(|tensor| tensor.name().to_owned());
        graph(&mut model).node.push(NodeProto {
            input: [String::from("x")].into_iter().chain(constants).collect(),
            output: names,
            name: Some("node".into()),
            op_type: Some(self.operator.into()),
            attribute: self.attributes.clone(),
            ..Default::default()
        });
        graph(&mut model).initializer.extend(self.constants.clone());
        model
    }

    fn load(&self, outputs: &[&[usize]]) -> Result<OnnxModel, CheckError> {
        OnnxModel::load(self.model(outputs).encode_to_vec())
    }

    /// Checks that the output has these sizes behind the batch, and no others.
    fn gives(&self, sizes: &[usize]) {
        self.splits(&[sizes]);
    }

    fn splits(&self, outputs: &[&[usize]]) {
        let network = self
            .load(outputs)
            .unwrap_or_else(|error| panic!("{}: {error}", self.operator));
        let elements = |sizes: &[usize]| sizes.iter().product::<usize>() as u64;
        let least = outputs.iter().map(|sizes| elements(sizes)).sum::<u64>();
        assert!(network.activation_bytes(3, 4).unwrap() >= 3 * 4 * least.max(elements(&self.x)));
        let mut other = outputs[0].to_vec();
        match other.last_mut() {
            Some(last) => *last += 1,
            None => other.push(1),
        }
        let others: Vec<&[usize]> = [other.as_slice()]
            .into_iter()
            .chain(outputs[1..].iter().copied())
            .collect();
        let error = self.load(&others).unwrap_err();
        assert!(
            matches!(error, CheckError::Declaration { .. }),
            "{}: {error}",
            self.operator
        );
    }

    fn refused(&self) -> CheckError {
        match self.load(&[&[1]]) {
            Err(CheckError::Declaration { found, .. }) => {
                panic!("{}: gives {found}", self.operator)
            }
            Err(error) => error,
            Ok(_) => panic!("{}: loaded", self.operator),
        }
    }

    fn shape_problem(&self) -> ShapeProblem {
        match self.refused() {
            CheckError::Shape { problem, .. } => problem,
            error => panic!("{}: {error}", self.operator),
        }
    }

    fn range(&self) -> String {
        match self.refused() {
            CheckError::Attribute {
                problem: AttributeProblem::Range { found, .. },
                ..
            } => found,
            error => panic!("{}: {error}", self.operator),
        }
    }
}

#[test]
fn elementwise_operators_of_one_input_keep_its_shape() {
    for operator in [
        "Elu",
        "Erf",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "LeakyRelu",
        "Mish",
        "Relu",
        "Selu",
        "Sigmoid",
        "Softplus",
        "Sqrt",
        "Tanh",
    ] {
        case(operator, &[2, 3, 4]).gives(&[2, 3, 4]);
    }
    case("Gelu", &[2, 3])
        .with(text("approximate", "tanh"))
        .gives(&[2, 3]);
    let other = case("Gelu", &[2, 3]).with(text("approximate", "erf"));
    assert_eq!(other.range(), "\"erf\"");
}

#[test]
fn elementwise_operators_of_two_inputs_broadcast() {
    for operator in ["Add", "Sub", "Mul", "Div", "Pow"] {
        case(operator, &[2, 3, 1])
            .and(constant("c", &[3, 4]))
            .gives(&[2, 3, 4]);
        case(operator, &[2, 3])
            .and(constant("c", &[]))
            .gives(&[2, 3]);
        let unequal = case(operator, &[2, 3]).and(constant("c", &[4]));
        assert!(matches!(
            unequal.shape_problem(),
            ShapeProblem::Broadcast { .. }
        ));
    }
}

#[test]
fn batch_normalizations_have_a_value_for_each_channel() {
    let vector = |name: &str, length| constant(name, &[length]);
    let norm = |last| {
        case("BatchNormalization", &[2, 4, 4])
            .and(vector("scale", 2))
            .and(vector("bias", 2))
            .and(vector("mean", 2))
            .and(vector("variance", last))
    };
    norm(2).gives(&[2, 4, 4]);
    assert!(matches!(
        norm(3).shape_problem(),
        ShapeProblem::Channels {
            input: "variance",
            ..
        }
    ));
    assert_eq!(norm(2).with(int("training_mode", 1)).range(), "1");
}

#[test]
fn layer_normalizations_go_over_the_last_axes() {
    let norm = |axis, scale: &[i64]| {
        case("LayerNormalization", &[5, 6, 7])
            .with(int("axis", axis))
            .and(constant("scale", scale))
    };
    norm(-1, &[7]).gives(&[5, 6, 7]);
    norm(-1, &[7]).and(constant("bias", &[7])).gives(&[5, 6, 7]);
    norm(2, &[6, 7]).gives(&[5, 6, 7]);
    assert!(matches!(
        norm(-1, &[6]).shape_problem(),
        ShapeProblem::Sizes { input: "scale", .. }
    ));
    let biased = norm(-1, &[7]).and(constant("bias", &[1]));
    assert!(matches!(
        biased.shape_problem(),
        ShapeProblem::Sizes { input: "bias", .. }
    ));
    for axis in [0, -4, 4] {
        assert_eq!(norm(axis, &[7]).range(), axis.to_string());
    }
    let halved = norm(-1, &[7]).with(int("stash_type", 10));
    assert_eq!(halved.range(), "10");
    let mean = norm(-1, &[7]).load(&[&[5, 6, 7], &[5, 6, 1]]).unwrap_err();
    assert!(matches!(
        mean,
        CheckError::Arity {
            what: "outputs",
            ..
        }
    ));
}

#[test]
fn softmax_goes_along_one_axis() {
    case("Softmax", &[5, 6]).gives(&[5, 6]);
    case("Softmax", &[5, 6]).with(int("axis", 1)).gives(&[5, 6]);
    assert_eq!(case("Softmax", &[5, 6]).with(int("axis", -3)).range(), "-3");
}

#[test]
fn products_of_matrices_sum_over_the_inner_axis() {
    let product = |x: &[usize], y: &[i64]| case("MatMul", x).and(constant("w", y));
    product(&[3, 4], &[4, 5]).gives(&[3, 5]);
    product(&[7, 3, 4], &[7, 4, 5]).gives(&[7, 3, 5]);
    product(&[1, 3, 4], &[7, 4, 5]).gives(&[7, 3, 5]);
    // The batch as rows.
    product(&[4], &[4, 5]).gives(&[5]);
    for (x, y) in [(vec![3, 4], vec![5, 4]), (vec![4], vec![4])] {
        let problem = product(&x, &y).shape_problem();
        let expected = matches!(
            problem,
            ShapeProblem::Product { .. } | ShapeProblem::Rank { .. }
        );
        assert!(expected, "{problem}");
    }
    let unequal = product(&[6, 3, 4], &[7, 4, 5]).shape_problem();
    assert!(matches!(unequal, ShapeProblem::Broadcast { .. }));
}

#[test]
fn gemm_multiplies_matrices_that_may_be_transposed() {
    let gemm = |weights: &[i64]| case("Gemm", &[4]).and(constant("w", weights));
    gemm(&[4, 5]).gives(&[5]);
    gemm(&[5, 4]).with(int("transB", 1)).gives(&[5]);
    gemm(&[4, 5]).and(constant("c", &[5])).gives(&[5]);
    gemm(&[4, 5]).and(constant("c", &[1, 1])).gives(&[5]);
    assert!(matches!(
        gemm(&[5, 4]).shape_problem(),
        ShapeProblem::Product { .. }
    ));
    let long = gemm(&[4, 5]).and(constant("c", &[3, 1, 5]));
    assert!(matches!(
        long.shape_problem(),
        ShapeProblem::Broadcast { .. }
    ));
    // It would sum over the batch.
    let turned = gemm(&[4, 5]).with(int("transA", 1));
    assert!(matches!(
        turned.shape_problem(),
        ShapeProblem::Product { .. }
    ));
}

#[test]
fn concatenations_grow_along_one_axis() {
    let joined = case("Concat", &[2, 3]).with(int("axis", -1));
    let mut model = joined.model(&[&[2, 6]]);
    graph(&mut model).node[0].input.push("x".into());
    OnnxModel::load(model.encode_to_vec()).unwrap();
    let batch = case("Concat", &[2, 3]).with(int("axis", 0));
    assert!(matches!(
        batch.shape_problem(),
        ShapeProblem::Free { axis: 0 }
    ));
}

#[test]
fn reshapes_keep_elements_and_batch() {
    let reshape = |shape: &[i64]| case("Reshape", &[4, 6]).and(integers("shape", shape));
    reshape(&[0, 24]).gives(&[24]);
    reshape(&[0, 0, 2, 3]).gives(&[4, 2, 3]);
    reshape(&[0, -1, 3]).gives(&[8, 3]);
    reshape(&[-1, 8, 3]).gives(&[8, 3]);
    // Of the batch, of another number of elements, or of no number.
    for shape in [
        &[2, -1][..],
        &[-1, 4],
        &[-1, 24, 2],
        &[0, 23],
        &[0, -1, 5],
        &[0, -1, -1],
        &[0, -2, 3],
        &[24, 0],
        &[0, 0, 0, 0],
        &[],
    ] {
        let problem = reshape(shape).shape_problem();
        assert!(
            matches!(problem, ShapeProblem::Reshape { .. }),
            "{shape:?}: {problem}"
        );
    }
    let many = reshape(&[0, 24, 1, 1, 1, 1, 1, 1, 1]);
    assert!(matches!(
        many.shape_problem(),
        ShapeProblem::Rank {
            input: "output",
            found: 9,
            ..
        }
    ));
    assert_eq!(reshape(&[0, 24]).with(int("allowzero", 1)).range(), "1");
    let floats = case("Reshape", &[4, 6]).and(constant("shape", &[2]));
    assert!(matches!(floats.refused(), CheckError::Input { .. }));
    let mut computed = reshape(&[0, 24]).model(&[&[24]]);
    graph(&mut computed).node[0].input[1] = "x".into();
    let error = OnnxModel::load(computed.encode_to_vec()).unwrap_err();
    assert!(matches!(
        error,
        CheckError::Input {
            what: "constant shape",
            ..
        }
    ));
}

#[test]
fn transposes_permute_axes() {
    let turned =
        |order: [usize; 3]| case("Transpose", &[4, 6]).with(AttributeProto::ints("perm", order));
    turned([0, 2, 1]).gives(&[6, 4]);
    assert!(matches!(
        turned([1, 0, 2]).shape_problem(),
        ShapeProblem::Free { axis: 1 }
    ));
    assert_eq!(turned([0, 2, 2]).range(), "[0, 2, 2]");
}

#[test]
fn gathers_put_indices_in_the_place_of_an_axis() {
    let gather = |indices: TensorProto| case("Gather", &[4, 6]).with(int("axis", 1)).and(indices);
    gather(integers("i", &[0, 3, -4])).gives(&[3, 6]);
    let square = TensorProto {
        dims: vec![2, 2],
        ..integers("i", &[0, 1, 2, 3])
    };
    gather(square).gives(&[2, 2, 6]);
    let scalar = TensorProto {
        dims: Vec::new(),
        ..integers("i", &[2])
    };
    gather(scalar).gives(&[6]);
    for outside in [4, -5, i64::MIN] {
        let problem = gather(integers("i", &[0, outside])).shape_problem();
        assert!(
            matches!(
                problem,
                ShapeProblem::Values {
                    input: "indices",
                    ..
                }
            ),
            "{problem}"
        );
    }
    let batch = case("Gather", &[4, 6]).and(integers("i", &[0]));
    assert!(matches!(
        batch.shape_problem(),
        ShapeProblem::Free { axis: 0 }
    ));
    let floats = gather(constant("i", &[1])).refused();
    assert!(matches!(
        floats,
        CheckError::Input {
            what: "constant indices",
            ..
        }
    ));
}

#[test]
fn slices_are_limited_to_their_axes() {
    let slice = |starts: &[i64], ends: &[i64]| {
        case("Slice", &[8, 6])
            .and(integers("starts", starts))
            .and(integers("ends", ends))
    };
    slice(&[1, -2], &[i64::MAX, 6])
        .and(integers("axes", &[1, -1]))
        .gives(&[7, 2]);
    slice(&[7], &[0])
        .and(integers("axes", &[1]))
        .and(integers("steps", &[-2]))
        .gives(&[4, 6]);
    let empty = slice(&[3], &[3]).and(integers("axes", &[1]));
    assert!(matches!(
        empty.shape_problem(),
        ShapeProblem::Vanishes { axis: 1, found: 0 }
    ));
    // Without axes, the first are meant: the batch.
    assert!(matches!(
        slice(&[0], &[1]).shape_problem(),
        ShapeProblem::Free { axis: 0 }
    ));
    for (axes, steps) in [
        (&[1, 1][..], &[1, 1][..]),
        (&[1, 3], &[1, 1]),
        (&[1, 2], &[1, 0]),
        (&[1], &[1, 1]),
    ] {
        let other = slice(&[0, 0], &[1, 1])
            .and(integers("axes", axes))
            .and(integers("steps", steps));
        assert!(matches!(other.shape_problem(), ShapeProblem::Values { .. }));
    }
}

#[test]
fn splits_give_every_part_its_size() {
    let split = |sizes: &[i64]| {
        case("Split", &[6, 5])
            .with(int("axis", 1))
            .and(integers("sizes", sizes))
    };
    split(&[1, 2, 3]).splits(&[&[1, 5], &[2, 5], &[3, 5]]);
    let equal = |parts| {
        case("Split", &[6, 5])
            .with(int("axis", 1))
            .with(int("num_outputs", parts))
    };
    equal(2).splits(&[&[3, 5], &[3, 5]]);
    for (case, outputs) in [
        (split(&[1, 2, 3]), 2),
        (split(&[1, 4]), 2),
        (split(&[7, -1]), 2),
        (split(&[6, 0]), 2),
        (equal(4), 4),
        (equal(3), 2),
        (equal(0), 1),
        (equal(2).and(integers("sizes", &[3, 3])), 2),
        (case("Split", &[6, 5]).with(int("axis", 1)), 2),
        (case("Split", &[6, 5]).and(integers("sizes", &[1])), 1),
    ] {
        let outputs = vec![&[3, 5][..]; outputs];
        let error = case.load(&outputs).unwrap_err();
        assert!(!matches!(error, CheckError::Declaration { .. }), "{error}");
    }
}

#[test]
fn parts_of_splits_are_counted_before_they_are_kept() {
    let split = case("Split", &[256])
        .with(int("axis", 1))
        .with(int("num_outputs", 256));
    let parts = vec![&[1][..]; 256];
    let mut model = split.model(&parts);
    let node = graph(&mut model).node[0].clone();
    for copy in 0..64 {
        let mut node = node.clone();
        for output in &mut node.output {
            *output = format!("{copy}.{output}");
        }
        graph(&mut model).node.push(node);
    }
    let error = OnnxModel::load(model.encode_to_vec()).unwrap_err();
    assert!(matches!(
        error,
        CheckError::TooMany {
            what: "outputs of nodes",
            found: 16_640
        }
    ));
}

#[test]
fn pads_add_to_axes() {
    let pad = |pads: &[i64]| case("Pad", &[4, 6]).and(integers("pads", pads));
    pad(&[0, 1, 0, 0, 2, 3]).gives(&[7, 9]);
    pad(&[0, -1, 0, 0, 0, 0])
        .and(constant("value", &[]))
        .gives(&[3, 6]);
    pad(&[0, 3, 0, 0, 0, 0])
        .with(text("mode", "reflect"))
        .gives(&[7, 6]);
    assert!(matches!(
        pad(&[1, 0, 0, 0, 0, 0]).shape_problem(),
        ShapeProblem::Free { axis: 0 }
    ));
    for pads in [&[0, 1][..], &[0; 7]] {
        assert!(matches!(
            pad(pads).shape_problem(),
            ShapeProblem::Values { input: "pads", .. }
        ));
    }
    let far = pad(&[0, 4, 0, 0, 0, 0]).with(text("mode", "reflect"));
    assert!(matches!(
        far.shape_problem(),
        ShapeProblem::Values { input: "pads", .. }
    ));
    for pads in [
        [0, -3, 0, 0, -1, 0],
        [0, -5, 0, 0, 9, 0],
        [0, i64::MAX, 0, 0, i64::MAX, 0],
    ] {
        assert!(matches!(
            pad(&pads).shape_problem(),
            ShapeProblem::Vanishes { axis: 1, .. }
        ));
    }
    let wrapped = pad(&[0, 1, 0, 0, 0, 0]).with(text("mode", "wrap"));
    assert_eq!(wrapped.range(), "\"wrap\"");
}

#[test]
fn means_take_axes_away_or_leave_one_value() {
    let mean = |axes: &[i64]| case("ReduceMean", &[4, 6]).and(integers("axes", axes));
    mean(&[-1]).gives(&[4, 1]);
    mean(&[1, 2]).with(int("keepdims", 0)).gives(&[]);
    for axes in [&[0][..], &[3], &[1, -2]] {
        assert!(matches!(
            mean(axes).shape_problem(),
            ShapeProblem::Values { input: "axes", .. }
        ));
    }
    assert!(matches!(mean(&[]).refused(), CheckError::Input { .. }));
}

#[test]
fn average_pools_move_a_window() {
    let pool = |pads: [usize; 4]| {
        case("AveragePool", &[2, 5, 6])
            .with(AttributeProto::ints("kernel_shape", [3, 2]))
            .with(AttributeProto::ints("strides", [2, 2]))
            .with(AttributeProto::ints("pads", pads))
    };
    pool([0; 4]).gives(&[2, 2, 3]);
    pool([1, 0, 1, 0]).gives(&[2, 3, 3]);
    assert_eq!(pool([3, 0, 0, 0]).range(), "3");
    let unstated = case("AveragePool", &[2, 5, 6]);
    assert_eq!(unstated.range(), "missing");
}

#[test]
fn resizes_interpolate_by_constant_factors() {
    let roi = || TensorProto {
        dims: vec![0],
        ..constant("roi", &[])
    };
    let factors = |values: [f32; 4]| TensorProto {
        raw_data: None,
        float_data: values.to_vec(),
        ..constant("factors", &[4])
    };
    let resize = |values| {
        case("Resize", &[2, 5, 6])
            .with(text("mode", "linear"))
            .with(text("coordinate_transformation_mode", "align_corners"))
            .and(TensorProto {
                raw_data: None,
                ..roi()
            })
            .and(factors(values))
    };
    resize([1., 1., 2., 1.5]).gives(&[2, 10, 9]);
    assert!(matches!(
        resize([2., 1., 1., 1.]).shape_problem(),
        ShapeProblem::Free { axis: 0 }
    ));
}

#[test]
fn integers_are_constants_of_shapes_alone() {
    let added = case("Mul", &[4]).and(integers("c", &[1, 2, 3, 4]));
    assert!(matches!(
        added.refused(),
        CheckError::Initializer {
            problem: InitializerProblem::Element { .. },
            ..
        }
    ));
}

#[test]
fn poolings_of_weights_without_elements_are_refused() {
    let mut pool = case("MaxPool", &[2, 5, 6])
        .with(AttributeProto::ints("kernel_shape", [3]))
        .with(AttributeProto::ints("pads", [2, 2]));
    pool.constants.push(TensorProto {
        dims: vec![1, 1, 0],
        raw_data: None,
        ..constant("empty", &[])
    });
    let mut model = pool.model(&[&[1, 2]]);
    graph(&mut model).node[0].input.remove(0);
    let error = OnnxModel::load(model.encode_to_vec()).unwrap_err();
    assert!(
        matches!(
            error,
            CheckError::Shape {
                problem: ShapeProblem::Looks { .. },
                ..
            }
        ),
        "{error}"
    );
}
