//! Networks of others: what is taken of them, and what is refused.

mod example;
mod parts;

use parts::{graph, model, node};
use prost::Message;
use vesal_onnx::check::{
    AttributeProblem, CheckError, InitializerProblem, ShapeProblem, TypeProblem,
};
use vesal_onnx::proto::{
    AttributeProto, AttributeType, DataType, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
};
use vesal_onnx::{EncodingProblem, Network, NetworkError};

/// A varint in so many bytes, or in as many as it needs.
fn number(mut value: u64, bytes: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while value >= 0x80 || all.len() + 1 < bytes {
        all.push(value as u8 | 0x80);
        value >>= 7;
    }
    all.push(value as u8);
    all
}

fn field(key: Vec<u8>, content: &[u8]) -> Vec<u8> {
    [key, number(content.len() as u64, 1), content.to_vec()].concat()
}

fn encoding(bytes: Vec<u8>) -> EncodingProblem {
    match Network::load(bytes) {
        Err(CheckError::Decode(NetworkError::Encoding { problem, .. })) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_loaded_computes_the_same_and_says_nothing_else() {
    let mut model = model();
    model.doc_string = Some("../../weights.bin".into());
    model.metadata_props.push(b"\x0a\x01a\x12\x01b".to_vec());
    let made = graph(&mut model);
    made.doc_string = Some("text".into());
    made.node[0].doc_string = Some("text".into());
    made.node[0].metadata_props.push(Vec::new());
    let mut between = made.output[0].clone();
    between.name = Some("skip".into());
    made.value_info.push(between);
    let network = Network::load(model.encode_to_vec()).unwrap();
    let loaded = network.model();
    assert!(loaded.doc_string.is_none() && loaded.metadata_props.is_empty());
    let (before, after) = (
        model.graph.as_ref().unwrap(),
        loaded.graph.as_ref().unwrap(),
    );
    assert!(after.value_info.is_empty() && after.doc_string.is_none());
    assert_eq!(after.node[1..], before.node[1..]);
    assert!(after.node[0].doc_string.is_none() && after.node[0].metadata_props.is_empty());
    for (after, before) in after.initializer.iter().zip(&before.initializer) {
        assert_eq!(after.raw_data, before.raw_data);
        assert!(after.doc_string.is_none());
    }
    assert_eq!(Network::load(network.encode()), Ok(network));
}

#[test]
fn weights_of_a_loaded_network_are_left_in_its_file() {
    let large = example::Example {
        features: 4,
        classes: 9,
        window: [4, 2, 2],
        seed: 3,
    };
    let network = Network::load(large.model().encode_to_vec()).unwrap();
    let mapped = network.encode_mapped("weights").unwrap();
    assert!(mapped.len() < network.encode().len() / 2);
    // What points to another file is not taken in again.
    assert!(matches!(
        Network::load(mapped),
        Err(CheckError::Initializer {
            problem: InitializerProblem::External,
            ..
        })
    ));
}

#[test]
fn an_encoding_that_decoders_read_differently_is_refused() {
    let whole = model().encode_to_vec();
    let with = |more: &[u8]| [&whole[..], more].concat();
    // A weight in another file, in a graph whose key has a bit beyond the 32nd.
    let location = field(
        number(13 << 3 | 2, 1),
        b"\x0a\x08location\x12\x0asecret.bin",
    );
    let tensor = field(number((5 << 3 | 2) | 1 << 40, 1), &location);
    assert_eq!(
        encoding(with(&field(number(7 << 3 | 2, 1), &tensor))),
        EncodingProblem::Key
    );
    // The same number in more bytes than it needs: as a key, a length and a value.
    assert_eq!(
        encoding(with(&[0x88, 0x80, 0x00, 0x09])),
        EncodingProblem::Overlong
    );
    assert_eq!(
        encoding(with(&[0x12, 0x81, 0x00, b'a'])),
        EncodingProblem::Overlong
    );
    assert_eq!(
        encoding(with(&[0x08, 0x89, 0x00])),
        EncodingProblem::Overlong
    );
    let beyond = [&[0x08][..], &[0xff; 9], &[0x02]].concat();
    assert_eq!(encoding(with(&beyond)), EncodingProblem::Overlong);
    // A group, and what ends in the middle.
    assert_eq!(
        encoding(with(&[0x0b, 0x0c])),
        EncodingProblem::WireType { found: 3 }
    );
    assert_eq!(
        encoding(with(&[0x12, 0x05, b'a'])),
        EncodingProblem::Truncated
    );
    // A field that is not known, in the usual encoding.
    assert!(matches!(
        Network::load(with(&[0x98, 0x06, 0x01])),
        Err(CheckError::Decode(NetworkError::Lossy { .. }))
    ));
}

#[test]
fn little_on_disk_does_not_become_much_in_memory() {
    let nodes = b"\x0a\x00".repeat(1 << 20);
    for content in [nodes, b"\x2a\x00".repeat(1 << 20)] {
        let bytes = field(number(7 << 3 | 2, 1), &content);
        assert!(matches!(
            Network::load(bytes),
            Err(CheckError::Decode(NetworkError::Inflated { .. }))
        ));
    }
}

/// One test per rule: a mutation of a good network, and the error that it gives.
macro_rules! refused {
    ($($name:ident: |$model:ident| $mutation:expr => $expected:pat $(if $guard:expr)?,)*) => {$(
        #[test]
        fn $name() {
            let mut changed = model();
            let $model = &mut changed;
            $mutation;
            let error = Network::load(changed.encode_to_vec()).unwrap_err();
            assert!(matches!(&error, $expected $(if $guard)?), "{error:?}");
        }
    )*};
}

fn attributed(kind: AttributeType, change: impl FnOnce(&mut AttributeProto)) -> AttributeProto {
    let mut attribute = AttributeProto {
        name: Some("body".into()),
        r#type: Some(kind as i32),
        ..Default::default()
    };
    change(&mut attribute);
    attribute
}

refused! {
    loops_are_refused: |m| {
        let body = attributed(AttributeType::Graph, |body| body.g = Some(Vec::new().into()));
        let skip = node(m, "skip");
        skip.op_type = Some("Loop".into());
        skip.attribute.push(body);
    } => CheckError::Operator { found, expected, .. } if found == "Loop" && expected.contains(&"Conv"),
    graphs_in_known_operators_are_refused: |m| {
        let body = attributed(AttributeType::Graph, |body| body.g = Some(Vec::new().into()));
        node(m, "skip").attribute.push(body);
    } => CheckError::Attribute { problem: AttributeProblem::Unknown { .. }, .. },
    constants_are_refused: |m| node(m, "skip").op_type = Some("Constant".into())
        => CheckError::Operator { found, .. } if found == "Constant",
    conversions_are_for_rewrites: |m| {
        let skip = node(m, "skip");
        skip.op_type = Some("Cast".into());
        skip.input.pop();
        skip.attribute.push(AttributeProto::int("to", 1));
    } => CheckError::Operator { found, .. } if found == "Cast",
    other_domains_are_refused: |m| node(m, "skip").domain = Some("com.microsoft".into())
        => CheckError::Domain { domain } if domain == "com.microsoft",
    own_domains_are_refused: |m| m.opset_import.push(OperatorSetIdProto {
        domain: Some("vesal".into()), version: Some(1),
    }) => CheckError::Domain { domain } if domain == "vesal",
    other_domains_are_not_imported_alone: |m| m.opset_import[0].domain = Some("vesal".into())
        => CheckError::Domain { .. },
    unknown_opsets_are_refused: |m| m.opset_import[0].version = Some(29) => CheckError::Opset { found: Some(29) },
    operators_have_their_opset: |m| {
        m.opset_import[0].version = Some(19);
        let skip = node(m, "skip");
        skip.op_type = Some("Gelu".into());
        skip.input.pop();
    } => CheckError::OperatorOpset { operator: "Gelu", found: 19, least: 20, .. },
    networks_have_bounded_numbers_of_nodes: |m| {
        let relu = node(m, "fine.norm1.relu").clone();
        let nodes = (0..1 << 14).map(|_| relu.clone());
        graph(m).node.extend(nodes);
    } => CheckError::TooMany { what: "nodes", .. },
    functions_are_refused: |m| m.functions.push(Vec::new()) => CheckError::Part { part: "functions" },
    training_is_refused: |m| m.training_info.push(Vec::new()) => CheckError::Part { .. },
    sparse_initializers_are_refused: |m| graph(m).sparse_initializer.push(Vec::new()) => CheckError::Part { .. },
    external_data_are_refused: |m| graph(m).initializer[0].external_data.push(Vec::new())
        => CheckError::Initializer { problem: InitializerProblem::External, .. },
    external_locations_are_refused: |m| graph(m).initializer[0].data_location = Some(1)
        => CheckError::Initializer { problem: InitializerProblem::External, .. },
    callers_do_not_replace_weights: |m| {
        let mut info = graph(m).input[0].clone();
        info.name = Some("first.weight".into());
        graph(m).input.push(info);
    } => CheckError::Twice { value } if value == "first.weight",
    space_is_fixed: |m| {
        let kind = graph(m).input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        let dim = &mut kind.shape.as_mut().unwrap().dim[3];
        (dim.dim_value, dim.dim_param) = (None, Some("y".into()));
    } => CheckError::Type { problem: TypeProblem::Free { axis: 3 }, .. },
    huge_outputs_are_refused: |m| {
        let up = node(m, "up");
        let strides = up.attribute.iter_mut().find(|attribute| attribute.name() == "strides").unwrap();
        strides.ints[0] = 1 << 40;
    } => CheckError::Shape { problem: ShapeProblem::Vanishes { axis: 2, .. }, .. },
    implicit_padding_is_refused: |m| {
        let text = attributed(AttributeType::String, |padding| {
            padding.name = Some("auto_pad".into());
            padding.s = Some(b"SAME_UPPER".to_vec());
        });
        node(m, "stride").attribute.push(text);
    } => CheckError::Attribute { problem: AttributeProblem::Range { .. }, .. },
    tensors_in_attributes_are_refused: |m| {
        let tensor = attributed(AttributeType::Tensor, |value| value.t = Some(Vec::new().into()));
        node(m, "head").attribute.push(tensor);
    } => CheckError::Attribute { .. },
    declared_shapes_follow: |m| {
        let kind = graph(m).output[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        kind.shape.as_mut().unwrap().dim[4].dim_value = Some(9);
    } => CheckError::Declaration { .. },
}

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
        data_type: Some(DataType::Float as i32),
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
        data_type: Some(DataType::Int64 as i32),
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
        let network = Network::load(giving(model.clone(), &sizes).encode_to_vec());
        let network = network.unwrap_or_else(|error| panic!("{operator}: {error}"));
        assert!(network.activation_bytes(2, 4).unwrap() > 0);
        let mut other = sizes;
        other[3] += 1;
        let error = Network::load(giving(model, &other).encode_to_vec());
        assert!(
            matches!(error, Err(CheckError::Declaration { .. })),
            "{operator}: {error:?}"
        );
    }
    // Sizes that are no constants of the file, and a batch that would change.
    let moved = with_operator(
        "Resize",
        nearest(),
        vec![none(), floats("factors", &[2., 1., 1., 1., 1.])],
    );
    assert!(matches!(
        Network::load(moved.encode_to_vec()),
        Err(CheckError::Shape {
            problem: ShapeProblem::Free { axis: 0 },
            ..
        })
    ));
    let mut computed = with_operator("Resize", nearest(), vec![none(), factors(2.)]);
    graph(&mut computed).node.last_mut().unwrap().input[2] = "skip".into();
    assert!(matches!(
        Network::load(computed.encode_to_vec()),
        Err(CheckError::Input {
            what: "constant factors",
            ..
        })
    ));
    // Integers are sizes and nothing else.
    let added = with_operator("Add", vec![], vec![sizes(&[1])]);
    assert!(matches!(
        Network::load(added.encode_to_vec()),
        Err(CheckError::Initializer {
            problem: InitializerProblem::Element { .. },
            ..
        })
    ));
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
    let network = Network::load(giving(model.clone(), &[4, 4, 6, 8]).encode_to_vec()).unwrap();
    // Two volumes of 2 channels, and that of 4.
    assert!(network.activation_bytes(1, 4).unwrap() >= (2 + 2 + 4) * 4 * 6 * 8 * 4);
    graph(&mut model).node.last_mut().unwrap().attribute[0].i = Some(5);
    assert!(matches!(
        Network::load(model.encode_to_vec()),
        Err(CheckError::Attribute {
            problem: AttributeProblem::Range { .. },
            ..
        })
    ));
}

#[test]
fn networks_of_nnunet_are_loaded() {
    let shared = std::env::var_os("VESAL_SHARED").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        Into::into,
    );
    let folder = shared.join("golden/nnunet/networks");
    let Ok(entries) = folder.read_dir() else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "{} is missing",
            folder.display()
        );
        println!("skipped: {} is missing", folder.display());
        return;
    };
    let files = entries.map(|entry| entry.unwrap().path());
    let files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "onnx"))
        .collect();
    assert!(!files.is_empty());
    for path in files {
        let network = Network::load(std::fs::read(&path).unwrap());
        let network = network.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(network.activation_bytes(1, 4).unwrap() > 0);
    }
}
