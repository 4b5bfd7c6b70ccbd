//! Rewrites of graphs, and their refusals.

use std::num::NonZeroUsize;

use crate::example::Example;
use crate::parts::{EXAMPLE, graph, model, node, of};
use vesal_onnx::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, TensorDataType, TensorProto,
    ValueInfoProto,
};
use vesal_onnx::{CheckError, DOMAIN, HeadProblem, Interface, NORM_RELU, OnnxModel, RewriteError};

fn weight<'a>(graph: &'a GraphProto, name: &str) -> &'a TensorProto {
    let mut weights = graph.initializer.iter();
    weights.find(|tensor| tensor.name() == name).unwrap()
}

fn axes(info: &ValueInfoProto) -> &[DimensionProto] {
    let kind = info.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    &kind.shape.as_ref().unwrap().dim
}

fn sizes(info: &ValueInfoProto) -> Vec<Option<i64>> {
    axes(info).iter().map(|dim| dim.dim_value).collect()
}

fn element(info: &ValueInfoProto) -> TensorDataType {
    let kind = info.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    if kind.elem_type() == TensorDataType::Float16 as i32 {
        TensorDataType::Float16
    } else {
        TensorDataType::Float
    }
}

fn two() -> NonZeroUsize {
    NonZeroUsize::new(2).unwrap()
}

fn halved(values: &[f32]) -> Result<Vec<u16>, RewriteError> {
    let mut model = model();
    let tensor = &mut graph(&mut model).initializer[0];
    tensor.dims = vec![values.len() as i64];
    tensor.raw_data = Some(
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
    );
    let network = OnnxModel::from(model).half(Interface::Half)?;
    let tensor = &of(&network).initializer[0];
    assert_eq!(tensor.data_type(), TensorDataType::Float16 as i32);
    assert_eq!(tensor.dims, [values.len() as i64]);
    let raw = tensor.raw_data.as_ref().unwrap();
    let (bits, rest) = raw.as_chunks();
    assert!(rest.is_empty());
    Ok(bits.iter().map(|bits| u16::from_le_bytes(*bits)).collect())
}

#[test]
fn the_batch_axis_gets_its_size_everywhere() {
    let mut model = model();
    let mut info = graph(&mut model).output[0].clone();
    info.name = Some("skip".into());
    graph(&mut model).value_info.push(info);
    let before = model.clone();
    let network = OnnxModel::from(model).fix_batch(two()).unwrap();
    let fixed = of(&network);
    assert_eq!(sizes(&fixed.input[0]), [2, 1, 4, 6, 8].map(Some));
    assert_eq!(sizes(&fixed.output[0]), [2, 3, 4, 6, 8].map(Some));
    assert_eq!(sizes(&fixed.value_info[0]), [2, 3, 4, 6, 8].map(Some));
    assert!(axes(&fixed.input[0])[0].dim_param.is_none());
    assert_eq!(fixed.node, before.graph.as_ref().unwrap().node);
    assert_eq!(network.fix_batch(two()).as_ref(), Ok(&network));
    assert_eq!(
        network.fix_batch(NonZeroUsize::MIN),
        Err(RewriteError::Batch {
            value: "image".into(),
            found: "2".into()
        })
    );
}

#[test]
fn halves_are_rounded_to_nearest_ties_to_even() {
    let subnormal = 2_f32.powi(-24);
    assert_eq!(
        halved(&[
            1.,
            1. / 3.,
            2049.,
            2051.,
            65519.99,
            -65504.,
            subnormal,
            subnormal / 2.,
            subnormal * 0.51,
            3.5 * subnormal,
            -0.,
        ]),
        Ok(vec![
            0x3c00, 0x3555, 0x6800, 0x6802, 0x7bff, 0xfbff, 0x0001, 0x0000, 0x0001, 0x0004, 0x8000
        ])
    );
    // Several blocks and a part of one.
    let many: Vec<f32> = (0..9999).map(|index| index as f32 / 8.).collect();
    let bits = halved(&many).unwrap();
    assert_eq!(bits.len(), 9999);
    assert_eq!((bits[8], bits[8192]), (0x3c00, 0x6400));
    let tensor = "first.weight".to_owned();
    assert_eq!(
        halved(&[0., 65520., 1e9]),
        Err(RewriteError::Range {
            tensor: tensor.clone(),
            found: 65520.
        })
    );
    assert_eq!(halved(&[f32::NAN]), Err(RewriteError::NotFinite { tensor }));
}

#[test]
fn half_networks_convert_at_their_borders_or_not_at_all() {
    let mut model = model();
    let mut info = graph(&mut model).output[0].clone();
    info.name = Some("skip".into());
    graph(&mut model).value_info.push(info);
    let nodes = graph(&mut model).node.len();
    let network = OnnxModel::from(model);

    let half = network.half(Interface::Half).unwrap();
    let changed = of(&half);
    assert_eq!(element(&changed.input[0]), TensorDataType::Float16);
    assert_eq!(element(&changed.output[0]), TensorDataType::Float16);
    assert_eq!(element(&changed.value_info[0]), TensorDataType::Float16);
    assert_eq!(changed.node, of(&network).node);
    let all = |tensor: &TensorProto| tensor.data_type() == TensorDataType::Float16 as i32;
    assert!(changed.initializer.iter().all(all));
    assert!(2 * half.encode().len() < network.encode().len() + 20_000);

    let half = network.half(Interface::Single).unwrap();
    let changed = of(&half);
    assert_eq!(element(&changed.input[0]), TensorDataType::Float);
    assert_eq!(element(&changed.output[0]), TensorDataType::Float);
    assert_eq!(element(&changed.value_info[0]), TensorDataType::Float16);
    assert_eq!(changed.node.len(), nodes + 2);
    let (first, last) = (&changed.node[0], &changed.node[nodes + 1]);
    assert_eq!((first.op_type(), last.op_type()), ("Cast", "Cast"));
    assert_eq!(first.attribute, [AttributeProto::int("to", 10)]);
    assert_eq!(last.attribute, [AttributeProto::int("to", 1)]);
    assert_eq!(first.output[0], changed.node[1].input[0]);
    assert_eq!(last.input[0], changed.node[nodes].output[0]);
    assert_eq!(
        (first.input[0].as_str(), last.output[0].as_str()),
        ("image", "logits")
    );
    // Once suffices.
    assert!(matches!(
        half.half(Interface::Single),
        Err(RewriteError::Operator { found, .. }) if found == "Cast"
    ));
}

#[test]
fn names_that_are_taken_are_not_given_again() {
    let mut model = model();
    node(&mut model, "skip").output[0] = "image.half".into();
    for input in graph(&mut model)
        .node
        .iter_mut()
        .flat_map(|node| &mut node.input)
    {
        if input == "skip" {
            *input = "image.half".into();
        }
    }
    let half = OnnxModel::from(model).half(Interface::Single).unwrap();
    assert_eq!(of(&half).node[0].output[0], "image.half.2");
}

#[test]
fn scales_of_a_resize_stay_as_they_are() {
    let mut model = model();
    let resized = graph(&mut model);
    let up = resized
        .node
        .iter_mut()
        .find(|node| node.name() == "up")
        .unwrap();
    up.op_type = Some("Resize".into());
    up.attribute.clear();
    up.input[1] = String::new();
    up.input.push("scales".into());
    let mut scales = resized.initializer[0].clone();
    (scales.name, scales.dims) = (Some("scales".into()), vec![5]);
    scales.raw_data = Some(scales.raw_data.unwrap().slice(..20));
    resized.initializer.push(scales.clone());
    let network = OnnxModel::from(model.clone());
    let half = network.half(Interface::Half).unwrap();
    assert_eq!(weight(of(&half), "scales"), &scales);

    node(&mut model, "skip").input[1] = "scales".into();
    let mixed = OnnxModel::from(model.clone()).half(Interface::Half);
    assert_eq!(
        mixed,
        Err(RewriteError::Mixed {
            node: "up".into(),
            value: "scales".into()
        })
    );
    node(&mut model, "up").input[2] = "image".into();
    let mixed = OnnxModel::from(model).half(Interface::Half);
    assert!(matches!(mixed, Err(RewriteError::Mixed { value, .. }) if value == "image"));
}

#[test]
fn the_head_is_taken_off_with_its_weights() {
    let mut model = model();
    let mut info = graph(&mut model).output[0].clone();
    info.name = Some("fine.add".into());
    graph(&mut model).value_info.push(info);
    let floats = |name: &str| -> Vec<f32> {
        let raw = weight(model.graph.as_ref().unwrap(), name).raw_data();
        raw.as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect()
    };
    let (matrix, bias) = (floats("head.weight"), floats("head.bias"));
    let network = OnnxModel::from(model);
    let (rest, head) = network.split_head().unwrap();
    assert_eq!((head.classes(), head.features()), (3, 2));
    assert_eq!((head.weight, head.bias), (matrix, bias));
    let changed = of(&rest);
    assert_eq!(sizes(&changed.output[0])[1..], [2, 4, 6, 8].map(Some));
    assert_eq!(axes(&changed.output[0])[0].dim_param(), "batch");
    let last = changed.node.last().unwrap();
    assert_eq!(
        (last.name(), last.output[0].as_str()),
        ("fine.add", "logits")
    );
    assert!(changed.value_info.is_empty());
    assert_eq!(
        changed.initializer.len(),
        of(&network).initializer.len() - 2
    );
    // The rest ends with a sum.
    assert!(matches!(
        rest.split_head(),
        Err(RewriteError::NoHead { why: HeadProblem::Operator { found } }) if found == "Add"
    ));
}

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
    network.fuse_norm_relu().err()
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
    norms_know_operators: |m| node(m, "skip").op_type = Some("Reshape".into()), norm
        => RewriteError::Operator { found, .. } if found == "Reshape",
    norms_need_volumes: |m| {
        let kind = graph(m).input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        kind.shape.as_mut().unwrap().dim.pop();
    }, norm => RewriteError::Axes { found: 4, expected: 5, .. },
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

#[test]
fn heads_are_only_taken_off_where_that_saves_something() {
    let model = Example {
        classes: 2,
        ..EXAMPLE
    }
    .model();
    let why = HeadProblem::Narrow {
        classes: 2,
        features: 2,
    };
    assert_eq!(
        OnnxModel::from(model).split_head(),
        Err(RewriteError::NoHead { why })
    );
}

/// A model whose channels can be normalized together with the ReLU.
fn wide() -> ModelProto {
    Example {
        features: 8,
        ..EXAMPLE
    }
    .model()
}

#[test]
fn norms_and_relus_become_one_operator() {
    let network = OnnxModel::from(wide());
    let count = |network: &OnnxModel, operator: &str| {
        let nodes = of(network).node.iter();
        nodes.filter(|node| node.op_type() == operator).count()
    };
    let norms = count(&network, "InstanceNormalization");
    let (fused, number) = network.fuse_norm_relu().unwrap();
    assert_eq!(number, norms);
    assert_eq!(count(&fused, NORM_RELU), norms);
    assert_eq!(count(&fused, "Transpose"), 2 * norms);
    assert_eq!(
        count(&fused, "InstanceNormalization") + count(&fused, "Relu"),
        0
    );
    let imports = &fused.model().opset_import;
    assert_eq!((imports[1].domain(), imports[1].version()), (DOMAIN, 1));

    // Every value is defined before it is used, by one node.
    let mut given = vec!["image".to_owned()];
    let weights = of(&fused).initializer.iter();
    given.extend(weights.map(|tensor| tensor.name().to_owned()));
    for node in &of(&fused).node {
        assert!(
            node.input.iter().all(|input| given.contains(input)),
            "{node:?}"
        );
        assert!(
            !node.output.iter().any(|output| given.contains(output)),
            "{node:?}"
        );
        given.extend(node.output.iter().cloned());
    }
    let norm = of(&fused)
        .node
        .iter()
        .find(|node| node.op_type() == NORM_RELU)
        .unwrap();
    assert_eq!(norm.domain(), DOMAIN);
    assert_eq!(norm.attribute, [AttributeProto::float("epsilon", 1e-5)]);

    // A second run changes nothing.
    assert_eq!(fused.fuse_norm_relu(), Ok((fused.clone(), 0)));

    // Scales stay 32-bit floats when the rest is halved.
    let half = fused.half(Interface::Single).unwrap();
    let element = |name: &str| weight(of(&half), name).data_type();
    assert_eq!(element(&norm.input[1]), TensorDataType::Float as i32);
    assert_eq!(element("first.weight"), TensorDataType::Float16 as i32);
}

#[test]
fn many_norms_are_joined_in_one_pass() {
    const PAIRS: usize = 4000;
    let mut model = wide();
    let made = graph(&mut model);
    let at = made
        .node
        .iter()
        .position(|node| node.name() == "skip")
        .unwrap();
    let (norm, relu) = (
        made.node
            .iter()
            .find(|node| node.op_type() == "InstanceNormalization")
            .unwrap()
            .clone(),
        made.node
            .iter()
            .find(|node| node.op_type() == "Relu")
            .unwrap()
            .clone(),
    );
    let mut further = Vec::new();
    for pair in 0..PAIRS {
        // In every other pair, another node uses the value between.
        let kept = pair % 2 == 0;
        let names = ["norm", "relu", "also"].map(|name| format!("{name}.{pair}"));
        let [between, output, also] = names.clone();
        let mut nodes = vec![
            NodeProto {
                output: vec![between.clone()],
                name: Some(names[0].clone()),
                ..norm.clone()
            },
            NodeProto {
                input: vec![between.clone()],
                output: vec![output],
                name: Some(names[1].clone()),
                ..relu.clone()
            },
        ];
        if kept {
            nodes.push(NodeProto {
                input: vec![between],
                output: vec![also],
                name: Some(names[2].clone()),
                ..relu.clone()
            });
        }
        further.extend(nodes);
    }
    made.node.splice(at..at, further);
    let before = OnnxModel::from(wide()).fuse_norm_relu().unwrap().1;
    let begin = std::time::Instant::now();
    let (_, number) = OnnxModel::from(model).fuse_norm_relu().unwrap();
    assert_eq!(number, before + PAIRS / 2);
    assert!(
        begin.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn norms_that_do_not_fit_stay() {
    let fused = |model: ModelProto| OnnxModel::from(model).fuse_norm_relu().unwrap().1;
    let all = fused(wide());
    // Two and four channels.
    assert_eq!(fused(model()), 0);
    let mut changed = wide();
    node(&mut changed, "down.norm1.relu").op_type = Some("LeakyRelu".into());
    assert_eq!(fused(changed), all - 1);
    let mut changed = wide();
    node(&mut changed, "skip").input[1] = "down.norm1".into();
    assert_eq!(fused(changed), all - 1);
    let mut changed = wide();
    graph(&mut changed).output[0].name = Some("down.norm1".into());
    assert_eq!(fused(changed), all - 1);
}
