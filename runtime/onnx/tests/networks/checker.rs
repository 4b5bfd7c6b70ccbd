//! The checker of exported networks accepts what the builder makes and refuses every mutation of it, one rule per test.

use crate::parts::{graph, model};
use prost::Message;
use vesal_onnx::NetworkError;
use vesal_onnx::check::{
    AttributeProblem, CheckError, InitializerProblem, ShapeProblem, TypeProblem, check, check_bytes,
};
use vesal_onnx::proto::{
    AttributeProto, AttributeType, DimensionProto, ModelProto, NodeProto, OperatorSetIdProto,
    ValueInfoProto,
};

/// The first node with this operator.
fn first<'a>(model: &'a mut ModelProto, operator: &str) -> &'a mut NodeProto {
    let mut nodes = graph(model).node.iter_mut();
    nodes.find(|node| node.op_type() == operator).unwrap()
}

fn attribute<'a>(model: &'a mut ModelProto, operator: &str, name: &str) -> &'a mut AttributeProto {
    let mut attributes = first(model, operator).attribute.iter_mut();
    attributes.find(|found| found.name() == name).unwrap()
}

fn dimension(info: &mut ValueInfoProto, axis: usize) -> &mut DimensionProto {
    let tensor = info.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
    &mut tensor.shape.as_mut().unwrap().dim[axis]
}

fn judge(model: &ModelProto) -> CheckError {
    assert!(check_bytes(&model.encode_to_vec()).is_err());
    check(model).unwrap_err()
}

#[test]
fn what_the_builder_makes_is_accepted() {
    let model = model();
    assert_eq!(check(&model), Ok(()));
    assert_eq!(check_bytes(&model.encode_to_vec()), Ok(model));
}

refused! {
    by judge;
    ir_version_must_be_stated: |m| m.ir_version = None => CheckError::IrVersion { found: None, .. },
    ir_version_must_be_known: |m| m.ir_version = Some(3) => CheckError::IrVersion { found: Some(3), .. },
    opset_must_be_imported: |m| m.opset_import.clear() => CheckError::OpsetImports { found: 0 },
    opset_must_be_imported_once: |m| m.opset_import.push(m.opset_import[0].clone())
        => CheckError::OpsetImports { found: 2 },
    opset_must_be_known: |m| m.opset_import[0].version = Some(99) => CheckError::Opset { found: Some(99), .. },
    other_domains_are_not_imported: |m| m.opset_import.push(OperatorSetIdProto {
        domain: Some("com.example".into()), version: Some(1),
    }) => CheckError::Domain { domain } if domain == "com.example",
    training_is_refused: |m| m.training_info.push(Vec::new()) => CheckError::Part { .. },
    functions_are_refused: |m| m.functions.push(Vec::new()) => CheckError::Part { .. },
    sparse_initializers_are_refused: |m| graph(m).sparse_initializer.push(Vec::new()) => CheckError::Part { .. },
    quantization_is_refused: |m| graph(m).quantization_annotation.push(Vec::new()) => CheckError::Part { .. },
    there_is_a_graph: |m| m.graph = None => CheckError::NoGraph,
    the_graph_has_a_name: |m| graph(m).name = None => CheckError::Name { what: "the graph", .. },
    there_are_inputs: |m| graph(m).input.clear() => CheckError::Empty { what: "inputs" },
    there_are_outputs: |m| graph(m).output.clear() => CheckError::Empty { what: "outputs" },
    there_are_nodes: |m| graph(m).node.clear() => CheckError::Empty { what: "nodes" },
    inputs_have_names: |m| graph(m).input[0].name = Some(String::new()) => CheckError::Name { what: "input", .. },
    nodes_have_names: |m| graph(m).node[1].name = Some("a\tb".into()) => CheckError::Name { what: "node", index: 1, .. },
    names_end_without_spaces: |m| graph(m).node[1].name = Some("a b ".into()) => CheckError::Name { what: "node", index: 1, .. },
    initializers_have_names: |m| graph(m).initializer[0].name = None => CheckError::Name { what: "initializer", .. },
    node_outputs_have_names: |m| graph(m).node[0].output[0].clear() => CheckError::Name { what: "node output", .. },
    nodes_have_names_of_their_own: |m| graph(m).node[1].name = graph(m).node[0].name.clone()
        => CheckError::NodeTwice { .. },
    values_are_given_once: |m| graph(m).node[1].output[0] = "image".into()
        => CheckError::Twice { value } if value == "image",
    initializers_are_given_once: |m| { let twin = graph(m).initializer[0].clone(); graph(m).initializer.push(twin) }
        => CheckError::Twice { .. },
    outputs_are_declared_once: |m| { let twin = graph(m).output[0].clone(); graph(m).output.push(twin) }
        => CheckError::Twice { value } if value == "logits",
    values_exist: |m| graph(m).node[3].input[0] = "nothing".into()
        => CheckError::Undefined { value, .. } if value == "nothing",
    nodes_are_sorted: |m| graph(m).node.swap(0, 1) => CheckError::Undefined { .. },
    cycles_are_refused: |m| { let last = graph(m).node[4].output[0].clone(); graph(m).node[2].input[0] = last }
        => CheckError::Undefined { .. },
    outputs_are_given: |m| graph(m).output[0].name = Some("other".into())
        => CheckError::NoOutput { output } if output == "other",
    outputs_are_not_inputs: |m| graph(m).output[0] = graph(m).input[0].clone()
        => CheckError::NoOutput { output } if output == "image",
    inputs_have_types: |m| graph(m).input[0].r#type = None
        => CheckError::Type { problem: TypeProblem::NoTensor, .. },
    inputs_have_shapes: |m| graph(m).input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap().shape = None
        => CheckError::Type { problem: TypeProblem::NoShape, .. },
    inputs_are_floats: |m| graph(m).input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap().elem_type = Some(11)
        => CheckError::Type { problem: TypeProblem::Element { found: Some(11) }, .. },
    axes_have_sizes: |m| dimension(&mut graph(m).input[0], 2).dim_value = Some(0)
        => CheckError::Type { problem: TypeProblem::Axis { axis: 2 }, .. },
    axes_have_a_size_or_a_name: |m| dimension(&mut graph(m).output[0], 0).dim_value = Some(1)
        => CheckError::Type { problem: TypeProblem::Axis { axis: 0 }, .. },
    declared_shapes_follow: |m| dimension(&mut graph(m).output[0], 4).dim_value = Some(9)
        => CheckError::Declaration { found, expected, .. }
            if found == "[batch, 3, 4, 6, 8]" && expected == "[batch, 3, 4, 6, 9]",
    the_free_axis_stays_free: |m| dimension(&mut graph(m).input[0], 0).dim_param = Some("n".into())
        => CheckError::Declaration { .. },
    external_data_are_refused: |m| graph(m).initializer[0].external_data.push(Vec::new())
        => CheckError::Initializer { problem: InitializerProblem::External, .. },
    external_locations_are_refused: |m| graph(m).initializer[0].data_location = Some(1)
        => CheckError::Initializer { problem: InitializerProblem::External, .. },
    segments_are_refused: |m| graph(m).initializer[0].segment = Some(Vec::new())
        => CheckError::Initializer { problem: InitializerProblem::Segment, .. },
    initializers_are_floats_or_integers: |m| graph(m).initializer[0].data_type = Some(11)
        => CheckError::Initializer { problem: InitializerProblem::Element { found: Some(11) }, .. },
    weights_are_floats: |m| {
        let weights = &mut graph(m).initializer[0];
        weights.data_type = Some(7);
        let floats = weights.raw_data.take().unwrap();
        weights.raw_data = Some([&floats[..], &floats[..]].concat().into());
    } => CheckError::Initializer { problem: InitializerProblem::Element { found: Some(7) }, .. },
    initializers_have_data: |m| graph(m).initializer[0].raw_data = None
        => CheckError::Initializer { problem: InitializerProblem::Places { found: 0 }, .. },
    initializers_have_data_once: |m| graph(m).initializer[0].float_data.push(0.)
        => CheckError::Initializer { problem: InitializerProblem::Places { found: 2 }, .. },
    initializers_fill_their_dims: |m| { graph(m).initializer[0].raw_data.as_mut().unwrap().truncate(3); }
        => CheckError::Initializer { problem: InitializerProblem::Bytes { .. }, .. },
    initializers_have_positive_dims: |m| graph(m).initializer[0].dims[0] = -4
        => CheckError::Initializer { problem: InitializerProblem::Dims { .. }, .. },
    initializers_have_possible_dims: |m| graph(m).initializer[0].dims = vec![1 << 62, 1 << 62]
        => CheckError::Initializer { problem: InitializerProblem::Dims { .. }, .. },
    operators_are_known: |m| first(m, "Relu").op_type = Some("Loop".into())
        => CheckError::Operator { found, .. } if found == "Loop",
    operators_are_in_the_default_domain: |m| first(m, "Relu").domain = Some("com.example".into())
        => CheckError::Domain { .. },
    operators_have_enough_inputs: |m| { first(m, "Conv").input.pop(); }
        => CheckError::Arity { what: "inputs", found: 1, .. },
    operators_have_no_further_inputs: |m| first(m, "Relu").input.push("image".into())
        => CheckError::Arity { what: "inputs", found: 2, .. },
    operators_have_one_output: |m| first(m, "Relu").output.push("more".into())
        => CheckError::Arity { what: "outputs", found: 2, .. },
    attributes_are_known: |m| first(m, "Relu").attribute.push(AttributeProto::int("alpha", 1))
        => CheckError::Attribute { problem: AttributeProblem::Unknown { .. }, .. },
    implicit_padding_is_refused: |m| first(m, "Conv").attribute.push(AttributeProto::int("auto_pad", 1))
        => CheckError::Attribute { problem: AttributeProblem::Type { .. }, .. },
    attributes_are_given_once: |m| { let twin = attribute(m, "Conv", "pads").clone(); first(m, "Conv").attribute.push(twin) }
        => CheckError::Attribute { problem: AttributeProblem::Twice, .. },
    attributes_refer_to_no_function: |m| attribute(m, "Conv", "pads").ref_attr_name = Some("p".into())
        => CheckError::Attribute { problem: AttributeProblem::Reference, .. },
    attributes_have_their_type: |m| attribute(m, "Conv", "group").r#type = Some(AttributeType::Float as i32)
        => CheckError::Attribute { problem: AttributeProblem::Type { found: Some(AttributeType::Float), .. }, .. },
    attributes_state_a_type: |m| attribute(m, "Conv", "group").r#type = None
        => CheckError::Attribute { problem: AttributeProblem::Type { found: None, .. }, .. },
    attributes_have_a_value_of_their_type: |m| attribute(m, "Conv", "group").f = Some(1.)
        => CheckError::Attribute { problem: AttributeProblem::Field, .. },
    attributes_have_their_length: |m| { attribute(m, "Conv", "pads").ints.pop(); }
        => CheckError::Attribute { problem: AttributeProblem::Length { found: 5, expected: 6 }, .. },
    strides_are_positive: |m| attribute(m, "Conv", "strides").ints[0] = 0
        => CheckError::Attribute { problem: AttributeProblem::Range { .. }, .. },
    groups_are_positive: |m| attribute(m, "Conv", "group").i = Some(0)
        => CheckError::Attribute { problem: AttributeProblem::Range { .. }, .. },
    epsilon_is_positive: |m| attribute(m, "InstanceNormalization", "epsilon").f = Some(f32::NAN)
        => CheckError::Attribute { problem: AttributeProblem::Range { .. }, .. },
    kernels_are_those_of_the_weights: |m| attribute(m, "ConvTranspose", "kernel_shape").ints[0] = 2
        => CheckError::Attribute { problem: AttributeProblem::Weights { .. }, .. },
    channels_pair: |m| dimension(&mut graph(m).input[0], 1).dim_value = Some(2)
        => CheckError::Shape { problem: ShapeProblem::Channels { input: "input", .. }, .. },
    groups_divide_channels: |m| attribute(m, "Conv", "group").i = Some(3)
        => CheckError::Shape { problem: ShapeProblem::Channels { input: "weight", .. }, .. },
    scales_have_one_value_per_channel: |m| { let bias = first(m, "Conv").input[1].clone(); first(m, "InstanceNormalization").input[1] = bias }
        => CheckError::Shape { problem: ShapeProblem::Rank { input: "scale", .. }, .. },
    sums_have_equal_shapes: |m| { let image = graph(m).node[0].input[0].clone(); first(m, "ConvTranspose").input[0] = image }
        => CheckError::Shape { problem: ShapeProblem::Channels { .. }, .. },
    sums_do_not_mix_resolutions: |m| attribute(m, "ConvTranspose", "output_padding").ints[2] = 0
        => CheckError::Shape { problem: ShapeProblem::Broadcast { .. }, .. },
    outputs_do_not_vanish: |m| attribute(m, "Conv", "dilations").ints[2] = 100
        => CheckError::Shape { problem: ShapeProblem::Vanishes { axis: 4, .. }, .. },
    spatial_axes_are_fixed: |m| {
        let axis = dimension(&mut graph(m).input[0], 3);
        (axis.dim_value, axis.dim_param) = (None, Some("y".into()));
    } => CheckError::Shape { problem: ShapeProblem::Free { axis: 3 }, .. },
    images_have_space: |m| {
        let tensor = graph(m).input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        tensor.shape.as_mut().unwrap().dim.truncate(2);
    } => CheckError::Shape { problem: ShapeProblem::Rank { input: "input", .. }, .. },
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    for bytes in [&b"not protobuf"[..], &[0xff; 64]] {
        assert!(matches!(
            check_bytes(bytes),
            Err(CheckError::Decode(NetworkError::Encoding { .. }))
        ));
    }
    assert!(matches!(
        check_bytes(b""),
        Err(CheckError::IrVersion { found: None, .. })
    ));
}
