//! Networks that a rewrite refuses.

use vesal_onnx::proto::{AttributeProto, DimensionProto, ModelProto, TensorDataType};
use vesal_onnx::{CheckError, HeadProblem, Interface, OnnxModel, RewriteError};

use super::two;
use crate::parts::{graph, model, node};

/// One test per rule: a mutation of a good model, a rewrite, and the refusal that it gives.
macro_rules! refused {
    ($($name:ident: |$model:ident| $mutation:expr, $rewrite:expr => $expected:pat $(if $guard:expr)?,)*) => {$(
        #[test]
        fn $name() {
            let mut changed = model();
            let $model = &mut changed;
            $mutation;
            let rewrite: fn(&OnnxModel) -> Option<RewriteError> = $rewrite;
            let refusal = rewrite(&OnnxModel::from(changed)).expect("a refusal");
            assert!(matches!(&refusal, $expected $(if $guard)?), "{refusal:?}");
            assert!(!refusal.to_string().is_empty());
        }
    )*};
}

fn batch(network: &OnnxModel) -> Option<RewriteError> {
    network.fix_batch(two()).err()
}

fn half(network: &OnnxModel) -> Option<RewriteError> {
    network.half(Interface::Single).err()
}

fn norm(network: &OnnxModel) -> Option<RewriteError> {
    network.fuse_norms().err()
}

fn own(network: &OnnxModel) -> Option<RewriteError> {
    network.own_convolutions(|_| true).err()
}

fn head(network: &OnnxModel) -> Option<RewriteError> {
    network.split_head().err()
}

refused! {
    batch_needs_a_graph: |m| m.graph = None, batch => RewriteError::NoGraph,
    batch_needs_a_name: |m| batch_axis(m).dim_param = None, batch
        => RewriteError::Batch { found, .. } if found == "without a name",
    batch_needs_one_name: |m| batch_axis(m).dim_param = Some("n".into()), batch
        => RewriteError::Batch { value, .. } if value == "logits",
    batch_names_one_axis: |m| {
        let kind = graph(m).input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        let dim = &mut kind.shape.as_mut().unwrap().dim[3];
        (dim.dim_value, dim.dim_param) = (None, Some("batch".into()));
    }, batch => RewriteError::SharedName { axis: 3, .. },
    batch_of_one_input: |m| { let twin = graph(m).input[0].clone(); graph(m).input.push(twin) }, batch
        => RewriteError::Count { what: "inputs", found: 2 },
    functions_may_do_anything: |m| m.functions.push(Vec::new()), batch => RewriteError::Part { part: "functions" },
    half_knows_opsets: |m| m.opset_import[0].version = Some(12), half => RewriteError::Opset { found: Some(12), .. },
    half_knows_operators: |m| node(m, "skip").op_type = Some("Div".into()), half
        => RewriteError::Operator { node, found, .. } if node == "skip" && found == "Div",
    half_knows_the_default_domain: |m| node(m, "skip").domain = Some("com.example".into()), half
        => RewriteError::Operator { found, .. } if found == "com.example.Add",
    half_starts_from_floats: |m| graph(m).initializer[3].data_type = Some(11), half
        => RewriteError::Element { found: Some(11), expected: TensorDataType::Float, .. },
    half_needs_all_elements: |m| graph(m).initializer[0].dims[0] += 1, half
        => RewriteError::Weight { tensor, .. } if tensor == "first.weight",
    half_needs_the_elements_here: |m| graph(m).initializer[0].external_data.push(Vec::new()), half
        => RewriteError::Weight { .. },
    half_needs_elements_once: |m| graph(m).initializer[0].int32_data.push(1), half => RewriteError::Weight { .. },
    half_survives_huge_shapes: |m| graph(m).initializer[0].dims = vec![i64::MAX, i64::MAX], half
        => RewriteError::Weight { .. },
    half_survives_negative_shapes: |m| graph(m).initializer[0].dims[0] = -2, half => RewriteError::Weight { .. },
    half_keeps_callers_weights: |m| {
        let mut info = graph(m).input[0].clone();
        info.name = Some("first.weight".into());
        graph(m).input.push(info);
    }, half => RewriteError::Replaceable { .. },
    half_needs_a_node_before_the_output: |m| graph(m).output[0].name = Some("image".into()), half
        => RewriteError::NoNode { .. },
    convolutions_need_shapes: |m| node(m, "skip").op_type = Some("NonZero".into()), own
        => RewriteError::Shapes(CheckError::Operator { found, .. }) if found == "NonZero",
    convolutions_keep_callers_weights: |m| {
        let mut info = graph(m).input[0].clone();
        info.name = Some("first.weight".into());
        graph(m).input.push(info);
    }, own => RewriteError::Replaceable { .. },
    norms_need_shapes: |m| node(m, "skip").op_type = Some("NonZero".into()), norm
        => RewriteError::Shapes(CheckError::Operator { found, .. }) if found == "NonZero",
    heads_have_one_voxel: |m| node(m, "head").attribute[0].ints[1] = 3, head
        => RewriteError::NoHead { why: HeadProblem::Attribute { attribute } } if attribute == "kernel_shape",
    heads_are_not_strided: |m| node(m, "head").attribute[2].ints[0] = 2, head
        => RewriteError::NoHead { why: HeadProblem::Attribute { .. } },
    heads_are_not_padded: |m| node(m, "head").attribute[1].ints[5] = 1, head
        => RewriteError::NoHead { why: HeadProblem::Attribute { .. } },
    heads_have_one_group: |m| node(m, "head").attribute[4].i = Some(2), head
        => RewriteError::NoHead { why: HeadProblem::Attribute { .. } },
    heads_have_known_attributes: |m| node(m, "head").attribute.push(AttributeProto::int("auto_pad", 1)), head
        => RewriteError::NoHead { why: HeadProblem::Attribute { .. } },
    heads_have_constant_weights: |m| node(m, "head").input[1] = "fine.conv2".into(), head
        => RewriteError::NoHead { why: HeadProblem::Weight { input: "weight" } },
    heads_have_constant_biases: |m| node(m, "head").input[2] = "fine.conv2".into(), head
        => RewriteError::NoHead { why: HeadProblem::Weight { input: "bias" } },
    heads_have_a_bias_per_class: |m| node(m, "head").input[2] = "fine.norm1.bias".into(), head
        => RewriteError::NoHead { why: HeadProblem::Weight { input: "bias" } },
    heads_have_weights_of_space: |m| node(m, "head").input[1] = "first.weight".into(), head
        => RewriteError::NoHead { why: HeadProblem::Weight { input: "weight" } },
    features_are_the_heads_alone: |m| {
        let features = node(m, "head").input[0].clone();
        node(m, "fine.conv2").input[0] = features;
    }, head => RewriteError::NoHead { why: HeadProblem::Features { .. } },
    features_are_not_the_input: |m| node(m, "head").input[0] = "image".into(), head
        => RewriteError::NoHead { why: HeadProblem::Features { value } } if value == "image",
    the_output_is_not_used_again: |m| node(m, "skip").input[1] = "logits".into(), head
        => RewriteError::NoHead { why: HeadProblem::Features { .. } },
    graphs_in_graphs_may_use_anything: |m| node(m, "skip").attribute.push(AttributeProto {
        g: Some(Vec::new().into()), ..Default::default()
    }), head => RewriteError::Subgraph { .. },
    heads_hold_numbers: |m| {
        let bias = graph(m).initializer.last_mut().unwrap();
        bias.raw_data = Some([f32::INFINITY; 3].iter().flat_map(|value| value.to_le_bytes()).collect());
    }, head => RewriteError::NotFinite { tensor } if tensor == "head.bias",
    outputs_declare_their_channels: |m| {
        let kind = graph(m).output[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        kind.shape = None;
    }, head => RewriteError::NoHead { why: HeadProblem::Undeclared { classes: 3 } },
}

fn batch_axis(model: &mut ModelProto) -> &mut DimensionProto {
    let input = &mut graph(model).input[0];
    let kind = input.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
    &mut kind.shape.as_mut().unwrap().dim[0]
}
