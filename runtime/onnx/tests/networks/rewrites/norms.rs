//! Instance normalization and a (leaky) ReLU in one operator.

use vesal_onnx::proto::{AttributeProto, ModelProto, NodeProto, TensorDataType};
use vesal_onnx::{DOMAIN, GraphBuilder, Interface, NORM_LEAKY_RELU, OnnxModel};

use super::weight;
use crate::example::Example;
use crate::parts::{EXAMPLE, graph, model, node, of};

/// A model whose channels can be normalized together with the ReLU.
fn wide() -> ModelProto {
    Example {
        features: 8,
        ..EXAMPLE
    }
    .model()
}

fn with_slope(slope: f32) -> [AttributeProto; 2] {
    [("epsilon", 1e-5), ("slope", slope)].map(|(name, value)| AttributeProto::float(name, value))
}

#[test]
fn norms_and_relus_become_one_operator() {
    let network = OnnxModel::from(wide());
    let count = |network: &OnnxModel, operator: &str| {
        let nodes = of(network).node.iter();
        nodes.filter(|node| node.op_type() == operator).count()
    };
    let norms = count(&network, "InstanceNormalization");
    let (fused, number) = network.fuse_norms().unwrap();
    assert_eq!(number, norms);
    assert_eq!(count(&fused, NORM_LEAKY_RELU), norms);
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
        .find(|node| node.op_type() == NORM_LEAKY_RELU)
        .unwrap();
    assert_eq!(norm.domain(), DOMAIN);
    assert_eq!(norm.attribute, with_slope(0.));

    // A second run changes nothing.
    assert_eq!(fused.fuse_norms(), Ok((fused.clone(), 0)));

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
    let before = OnnxModel::from(wide()).fuse_norms().unwrap().1;
    let begin = std::time::Instant::now();
    let (_, number) = OnnxModel::from(model).fuse_norms().unwrap();
    assert_eq!(number, before + PAIRS);
    assert!(
        begin.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

/// The operator that gives a value, behind the transpose to channels first.
fn norm_of<'a>(network: &'a OnnxModel, value: &str) -> &'a NodeProto {
    let gives = |value: &str| {
        let mut nodes = of(network).node.iter();
        nodes.find(|node| node.output[0] == value).unwrap()
    };
    let back = gives(value);
    assert_eq!(back.op_type(), "Transpose");
    gives(&back.input[0])
}

#[test]
fn norms_that_do_not_fit_stay() {
    // Two and four channels.
    let fused = OnnxModel::from(model()).fuse_norms().unwrap();
    assert_eq!(fused, (OnnxModel::from(model()), 0));
    // Planes.
    let mut flat = wide();
    let node = NodeProto {
        input: vec!["image".into(), "size".into()],
        output: vec!["flat".into()],
        op_type: Some("Reshape".into()),
        ..NodeProto::default()
    };
    let made = graph(&mut flat);
    let norm = made
        .node
        .iter()
        .find(|node| node.op_type() == "InstanceNormalization")
        .unwrap();
    let norm = NodeProto {
        input: vec!["flat".into(), norm.input[1].clone(), norm.input[2].clone()],
        output: vec!["flat.norm".into()],
        name: Some("flat.norm".into()),
        ..norm.clone()
    };
    let mut builder = GraphBuilder::new("sizes");
    builder.integers("size", &[0, 8, -1]);
    let sizes = builder.finish("test").graph.unwrap().initializer;
    made.initializer.extend(sizes);
    made.node.splice(0..0, [node, norm]);
    let all = OnnxModel::from(wide()).fuse_norms().unwrap().1;
    let (network, number) = OnnxModel::from(flat).fuse_norms().unwrap();
    assert_eq!(number, all);
    let mut nodes = of(&network).node.iter();
    assert!(nodes.any(|node| node.op_type() == "InstanceNormalization"));
}

#[test]
fn activations_give_the_slope() {
    let slope = |model: ModelProto, value: &str| {
        let all = OnnxModel::from(wide()).fuse_norms().unwrap().1;
        let (network, number) = OnnxModel::from(model).fuse_norms().unwrap();
        assert_eq!(number, all);
        norm_of(&network, value).attribute.clone()
    };
    assert_eq!(slope(wide(), "down.norm1.relu"), with_slope(0.));
    let mut leaky = wide();
    let activation = node(&mut leaky, "down.norm1.relu");
    activation.op_type = Some("LeakyRelu".into());
    assert_eq!(slope(leaky.clone(), "down.norm1.relu"), with_slope(0.01));
    let alpha = AttributeProto::float("alpha", 0.25);
    node(&mut leaky, "down.norm1.relu").attribute = vec![alpha];
    assert_eq!(slope(leaky, "down.norm1.relu"), with_slope(0.25));
    // Other activations, and those that share the value with others, stay.
    let mut changed = wide();
    node(&mut changed, "down.norm1.relu").op_type = Some("Sigmoid".into());
    assert_eq!(slope(changed, "down.norm1"), with_slope(1.));
    let mut changed = wide();
    node(&mut changed, "skip").input[1] = "down.norm1".into();
    assert_eq!(slope(changed, "down.norm1"), with_slope(1.));
    let mut changed = wide();
    graph(&mut changed).output[0].name = Some("down.norm1".into());
    assert_eq!(slope(changed, "down.norm1"), with_slope(1.));
}
