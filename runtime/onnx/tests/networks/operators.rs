//! Shape rules of operators of foreign networks, and their refusals.

use crate::parts::{attributed, graph, model};
use prost::Message;
use vesal_onnx::OnnxModel;
use vesal_onnx::check::{AttributeProblem, CheckError, InitializerProblem, ShapeProblem};
use vesal_onnx::proto::{
    AttributeProto, AttributeType, ModelProto, NodeProto, TensorDataType, TensorProto,
};

/// The network with an operator in the place of `skip`, whose first input has shape `[batch, 2, 4, 6, 8]`.
fn with_operator(
    operator: &str,
    attributes: Vec<AttributeProto>,
    constants: Vec<TensorProto>,
) -> ModelProto {
    let mut model = model();
    // Of volumes [batch, 2, 4, 6, 8], as the input of `fine`.
    let inputs = constants.iter().map(|tensor| tensor.name.clone().unwrap());
    let mut input = vec!["skip".to_owned()];
    input.extend(inputs);
    let made = graph(&mut model);
    made.initializer.extend(constants);
    let at = made
        .node
        .iter()
        .position(|node| node.name() == "skip")
        .unwrap();
    made.node.truncate(at + 1);
    made.node.push(NodeProto {
        input,
        output: vec!["logits".into()],
        op_type: Some(operator.into()),
        attribute: attributes,
        ..Default::default()
    });
    model
}

/// Declares the output's sizes behind the batch.
fn giving(mut model: ModelProto, sizes: &[i64]) -> ModelProto {
    let output = &mut graph(&mut model).output[0];
    let shape = output
        .r#type
        .as_mut()
        .unwrap()
        .tensor_type
        .as_mut()
        .unwrap();
    let dims = &mut shape.shape.as_mut().unwrap().dim;
    for (dim, size) in dims[1..].iter_mut().zip(sizes) {
        dim.dim_value = Some(*size);
    }
    model
}

fn floats(name: &str, values: &[f32]) -> TensorProto {
    TensorProto {
        dims: vec![values.len() as i64],
        data_type: Some(TensorDataType::Float as i32),
        name: Some(name.into()),
        float_data: values.to_vec(),
        ..Default::default()
    }
}

fn text(name: &str, value: &str) -> AttributeProto {
    attributed(AttributeType::String, |attribute| {
        attribute.name = Some(name.into());
        attribute.s = Some(value.into());
    })
}

#[test]
fn shapes_follow_the_definitions_of_the_operators() {
    let sizes = |values: &[i64]| TensorProto {
        dims: vec![values.len() as i64],
        data_type: Some(TensorDataType::Int64 as i32),
        name: Some("sizes".into()),
        int64_data: values.to_vec(),
        ..Default::default()
    };
    let none = || floats("roi", &[]);
    let nearest = || {
        vec![
            text("mode", "nearest"),
            text("coordinate_transformation_mode", "asymmetric"),
        ]
    };
    let factors = |x: f32| floats("factors", &[1., 1., x, 2., 2.]);
    let pool = |ceil: usize| {
        vec![
            AttributeProto::ints("kernel_shape", [2, 3, 3]),
            AttributeProto::ints("strides", [2, 2, 3]),
            AttributeProto::int("ceil_mode", ceil),
        ]
    };
    let vector = |name: &str| floats(name, &[1., 1.]);
    let ones = |name: &str| TensorProto {
        dims: vec![2, 1, 1, 1],
        ..floats(name, &[0.1, 0.2])
    };
    let cases = [
        (
            with_operator(
                "LeakyRelu",
                vec![AttributeProto::float("alpha", 0.1)],
                vec![],
            ),
            [2, 4, 6, 8],
        ),
        (with_operator("Sigmoid", vec![], vec![]), [2, 4, 6, 8]),
        (
            with_operator("Softmax", vec![AttributeProto::int("axis", 1)], vec![]),
            [2, 4, 6, 8],
        ),
        (
            with_operator("PRelu", vec![], vec![ones("slope")]),
            [2, 4, 6, 8],
        ),
        (
            with_operator("Mul", vec![], vec![ones("factor")]),
            [2, 4, 6, 8],
        ),
        (with_operator("MaxPool", pool(0), vec![]), [2, 2, 2, 2]),
        (with_operator("AveragePool", pool(1), vec![]), [2, 2, 3, 3]),
        (
            with_operator("GlobalAveragePool", vec![], vec![]),
            [2, 1, 1, 1],
        ),
        (
            with_operator("Resize", nearest(), vec![none(), factors(1.5)]),
            [2, 6, 12, 16],
        ),
        (
            with_operator("Resize", nearest(), vec![none(), factors(0.5)]),
            [2, 2, 12, 16],
        ),
        (
            with_operator(
                "BatchNormalization",
                vec![],
                ["a", "b", "c", "d"].map(vector).to_vec(),
            ),
            [2, 4, 6, 8],
        ),
        (
            with_operator(
                "Transpose",
                vec![AttributeProto::ints("perm", [0, 1, 4, 3, 2])],
                vec![],
            ),
            [2, 8, 6, 4],
        ),
    ];
    for (model, sizes) in cases {
        let operator = model
            .graph
            .as_ref()
            .unwrap()
            .node
            .last()
            .unwrap()
            .op_type()
            .to_owned();
        let network = OnnxModel::load(giving(model.clone(), &sizes).encode_to_vec());
        let network = network.unwrap_or_else(|error| panic!("{operator}: {error}"));
        assert!(network.activation_bytes(2, 4, true).unwrap() > 0);
        let mut other = sizes;
        other[3] += 1;
        let error = OnnxModel::load(giving(model, &other).encode_to_vec());
        assert!(
            matches!(error, Err(CheckError::Declaration { .. })),
            "{operator}: {error:?}"
        );
    }
    // Sizes that are not constants of the file, and a batch that would change.
    let moved = with_operator(
        "Resize",
        nearest(),
        vec![none(), floats("factors", &[2., 1., 1., 1., 1.])],
    );
    assert!(matches!(
        OnnxModel::load(moved.encode_to_vec()),
        Err(CheckError::Shape {
            problem: ShapeProblem::Free { axis: 0 },
            ..
        })
    ));
    let mut computed = with_operator("Resize", nearest(), vec![none(), factors(2.)]);
    graph(&mut computed).node.last_mut().unwrap().input[2] = "skip".into();
    assert!(matches!(
        OnnxModel::load(computed.encode_to_vec()),
        Err(CheckError::Input {
            what: "constant factors",
            ..
        })
    ));
    // Integers are sizes and nothing else.
    let added = with_operator("Add", vec![], vec![sizes(&[1])]);
    assert!(matches!(
        OnnxModel::load(added.encode_to_vec()),
        Err(CheckError::Initializer {
            problem: InitializerProblem::Element { .. },
            ..
        })
    ));
}

#[test]
fn the_batch_is_left_alone() {
    let load = |operator: &str, attributes: Vec<AttributeProto>, constants| {
        OnnxModel::load(with_operator(operator, attributes, constants).encode_to_vec()).unwrap_err()
    };
    // A factor that keeps small batches but changes larger ones.
    let factors = floats("factors", &[1.19, 1., 1., 1., 1.]);
    let error = load(
        "Resize",
        vec![text("mode", "nearest")],
        vec![floats("roi", &[]), factors],
    );
    assert!(
        matches!(
            error,
            CheckError::Shape {
                problem: ShapeProblem::Free { axis: 0 },
                ..
            }
        ),
        "{error:?}"
    );
    for axis in [0, -5_i64, 5, i64::MIN] {
        let mut attribute = AttributeProto::int("axis", 0);
        attribute.i = Some(axis);
        let error = load("Softmax", vec![attribute], vec![]);
        assert!(
            matches!(
                error,
                CheckError::Attribute {
                    problem: AttributeProblem::Range { .. },
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let turned = AttributeProto::ints("perm", [1, 0, 2, 3, 4]);
    let error = load("Transpose", vec![turned], vec![]);
    assert!(
        matches!(
            error,
            CheckError::Shape {
                problem: ShapeProblem::Free { axis: 1 },
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn the_work_of_poolings_is_bounded() {
    let window = |sizes: [usize; 3]| {
        let pads: Vec<usize> = sizes.iter().chain(&sizes).map(|size| size - 1).collect();
        let attributes = vec![
            AttributeProto::ints("kernel_shape", sizes),
            AttributeProto::ints("pads", pads),
        ];
        with_operator("MaxPool", attributes, vec![])
    };
    let sizes = [7, 7, 7];
    let few = giving(window(sizes), &[2, 4 + 6, 6 + 6, 8 + 6]);
    OnnxModel::load(few.encode_to_vec()).unwrap();
    let error = OnnxModel::load(window([63; 3]).encode_to_vec()).unwrap_err();
    assert!(
        matches!(
            error,
            CheckError::Shape {
                problem: ShapeProblem::Looks { .. },
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn concatenations_grow_along_one_axis() {
    let mut model = with_operator("Concat", vec![AttributeProto::int("axis", 1)], vec![]);
    graph(&mut model)
        .node
        .last_mut()
        .unwrap()
        .input
        .push("up".into());
    let network = OnnxModel::load(giving(model.clone(), &[4, 4, 6, 8]).encode_to_vec()).unwrap();
    // Two volumes of 2 channels, and that of 4.
    assert!(network.activation_bytes(1, 4, true).unwrap() >= (2 + 2 + 4) * 4 * 6 * 8 * 4);
    graph(&mut model).node.last_mut().unwrap().attribute[0].i = Some(5);
    assert!(matches!(
        OnnxModel::load(model.encode_to_vec()),
        Err(CheckError::Attribute {
            problem: AttributeProblem::Range { .. },
            ..
        })
    ));
}
