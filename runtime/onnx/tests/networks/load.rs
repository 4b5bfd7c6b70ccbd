//! Foreign networks: accepted and refused parts.

use crate::example;
use crate::parts::{self, attributed, graph, model, node};
use prost::Message;
use vesal_onnx::check::{
    AttributeProblem, CheckError, InitializerProblem, ShapeProblem, TypeProblem,
};
use vesal_onnx::proto::{AttributeProto, AttributeType, ModelProto, OperatorSetIdProto};
use vesal_onnx::{EncodingProblem, NetworkError, OnnxModel};

/// A varint in this many bytes, or in as many as it needs.
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
    match OnnxModel::load(bytes) {
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
    let network = OnnxModel::load(model.encode_to_vec()).unwrap();
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
    assert_eq!(OnnxModel::load(network.encode()), Ok(network));
}

#[test]
fn weights_of_a_loaded_network_are_left_in_its_file() {
    let large = example::Example {
        features: 4,
        classes: 9,
        window: [4, 2, 2],
        seed: 3,
    };
    let network = OnnxModel::load(large.model().encode_to_vec()).unwrap();
    let mapped = network.encode_mapped("weights").unwrap();
    assert!(mapped.len() < network.encode().len() / 2);
    // References to other files are not accepted.
    assert!(matches!(
        OnnxModel::load(mapped),
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
    // A group, and truncated messages.
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
        OnnxModel::load(with(&[0x98, 0x06, 0x01])),
        Err(CheckError::Decode(NetworkError::Lossy { .. }))
    ));
}

#[test]
fn little_on_disk_does_not_become_much_in_memory() {
    let nodes = b"\x0a\x00".repeat(1 << 20);
    for content in [nodes, b"\x2a\x00".repeat(1 << 20)] {
        let bytes = field(number(7 << 3 | 2, 1), &content);
        assert!(matches!(
            OnnxModel::load(bytes),
            Err(CheckError::Decode(NetworkError::Inflated { .. }))
        ));
    }
}

fn judge(model: &ModelProto) -> CheckError {
    OnnxModel::load(model.encode_to_vec()).unwrap_err()
}

/// Values of an attribute of the node with this name.
fn of_node<'a>(model: &'a mut ModelProto, name: &str, attribute: &str) -> &'a mut Vec<i64> {
    let mut attributes = node(model, name).attribute.iter_mut();
    &mut attributes
        .find(|found| found.name() == attribute)
        .unwrap()
        .ints
}

refused! {
    by judge;
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
    unknown_opsets_are_refused: |m| m.opset_import[0].version = Some(29) => CheckError::Opset { found: Some(29), .. },
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
    huge_outputs_are_refused: |m| *of_node(m, "up", "strides") = vec![1 << 20, 2, 2]
        => CheckError::Shape { problem: ShapeProblem::Vanishes { axis: 2, .. }, .. },
    sizes_beyond_all_shapes_are_refused: |m| *of_node(m, "up", "strides") = vec![1 << 40, 2, 2]
        => CheckError::Attribute { problem: AttributeProblem::Range { expected, .. }, .. } if expected == "1 to 1048576",
    sizes_that_cancel_each_other_are_refused: |m| {
        *of_node(m, "first", "pads") = vec![1 << 61; 6];
        *of_node(m, "first", "dilations") = vec![1 << 61; 3];
    } => CheckError::Attribute { problem: AttributeProblem::Range { .. }, .. },
    inputs_have_few_axes: |m| {
        let kind = graph(m).input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        let dims = &mut kind.shape.as_mut().unwrap().dim;
        let last = dims[4].clone();
        dims.resize(9, last);
    } => CheckError::Type { problem: TypeProblem::Axes { found: 9 }, .. },
    weights_have_few_axes: |m| graph(m).initializer[0].dims.extend([1; 4])
        => CheckError::Initializer { problem: InitializerProblem::Axes { found: 9 }, .. },
    free_sizes_have_short_names: |m| {
        let kind = graph(m).input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        kind.shape.as_mut().unwrap().dim[0].dim_param = Some("n".repeat(257));
    } => CheckError::Type { problem: TypeProblem::Axis { axis: 0 }, .. },
    weights_have_no_sizes_that_nothing_fills: |m| {
        let weight = &mut graph(m).initializer[0];
        weight.dims = vec![1 << 62, 0, 3, 3, 3];
        weight.raw_data = None;
    } => CheckError::Initializer { problem: InitializerProblem::Dims { least: 0, .. }, .. },
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

#[test]
fn messages_say_what_is_known() {
    let mut changed = model();
    changed.ir_version = None;
    assert_eq!(
        judge(&changed).to_string(),
        "the model has IR version none, expected 1 to 14"
    );
    let mut changed = model();
    changed.opset_import[0].version = Some(29);
    assert_eq!(
        judge(&changed).to_string(),
        "the model has opset 29, expected 1 to 28"
    );
    let mut changed = model();
    graph(&mut changed).initializer[0].data_type = Some(13);
    assert_eq!(
        judge(&changed).to_string(),
        "the initializer \"first.weight\" is unusable: it has element type 13 (uint64), expected 1 (float), \
         or 7 (int64) where an operator takes integers"
    );
}

#[test]
fn names_of_nodes_are_kept_where_they_are_names() {
    let mut model = model();
    node(&mut model, "skip").name = Some("curl x | sh\n".into());
    let network = OnnxModel::load(model.encode_to_vec()).unwrap();
    let names: Vec<_> = parts::of(&network)
        .node
        .iter()
        .map(|node| node.name())
        .collect();
    assert_eq!(names[0], "first");
    let position = graph(&mut model)
        .node
        .iter()
        .position(|node| node.output == ["skip"]);
    assert_eq!(names[position.unwrap()], "");
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
        let network = OnnxModel::load(std::fs::read(&path).unwrap());
        let network = network.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(network.activation_bytes(1, 4, true).unwrap() > 0);
    }
}
