//! Attention in one operator.

use vesal_onnx::proto::{AttributeProto, ModelProto, NodeProto};
use vesal_onnx::{ATTENTION, AttentionSizes, DOMAIN, OnnxModel};

use crate::example::AttentionExample;
use crate::parts::{graph, node, of};

const EXAMPLE: AttentionExample = AttentionExample {
    size: [4, 3, 2],
    windows: 4,
    heads: 2,
    depth: 3,
    regions: 2,
};

fn fused(model: ModelProto) -> (OnnxModel, Vec<AttentionSizes>) {
    let mut sizes = Vec::new();
    let network = OnnxModel::load(OnnxModel::from(model).encode()).unwrap();
    let (network, count) = network
        .fuse_attention(|found| {
            sizes.push(*found);
            true
        })
        .unwrap();
    let own = |node: &&NodeProto| node.op_type() == ATTENTION && node.domain() == DOMAIN;
    assert_eq!(of(&network).node.iter().filter(own).count(), count);
    assert_eq!(sizes.len(), count);
    (network, sizes)
}

fn attention(network: &OnnxModel) -> &NodeProto {
    let mut nodes = of(network).node.iter();
    nodes.find(|node| node.op_type() == ATTENTION).unwrap()
}

#[test]
fn attention_becomes_one_operator() {
    let (network, sizes) = fused(EXAMPLE.model());
    let expected = AttentionSizes {
        groups: 8,
        queries: 6,
        keys: 6,
        depth: 3,
        features: 3,
        rank: 2,
    };
    assert_eq!(sizes, [expected]);
    let node = attention(&network);
    let inputs = ["q", "k", "v", "position_bias", "left", "right"];
    assert_eq!(node.input, inputs);
    assert_eq!(node.output, ["attended"]);
    // Heads have a bias, windows a mask.
    let attributes = [
        AttributeProto::ints("bias_of", [0, 1, 0, 1, 0, 1, 0, 1]),
        AttributeProto::ints("mask_of", [0, 0, 1, 1, 2, 2, 3, 3]),
    ];
    assert_eq!(node.attribute, attributes);
    // Neither scores nor weights nor the product of the mask's factors are there any more.
    for gone in ["scores", "biased", "mask", "masked", "weights"] {
        let mut nodes = of(&network).node.iter();
        assert!(
            nodes.all(|node| !node.output.contains(&gone.to_owned())),
            "{gone}"
        );
    }
    // A second run changes nothing, and rewrites that need shapes know the operator.
    let again = network.fuse_attention(|_| true).unwrap();
    assert_eq!(again, (network.clone(), 0));
    let (_, convolutions) = network.own_convolutions(|_| true).unwrap();
    assert_eq!(convolutions, 2);
}

#[test]
fn memory_is_planned_without_the_weights() {
    let long = AttentionExample {
        size: [8, 7, 6],
        windows: 6,
        ..EXAMPLE
    };
    let model = long.model();
    let (network, _) = fused(model.clone());
    let bytes = |network: &OnnxModel, batch| network.activation_bytes(batch, 4, false).unwrap();
    let (before, after) = (OnnxModel::from(model), network);
    // Values, scores and weights; and the mask, which is computed once.
    let (values, pairs, mask) = (6 * 336 * 4, 12 * 56 * 56 * 4, 6 * 56 * 56 * 4);
    assert_eq!(bytes(&before, 1), values + 2 * pairs + mask);
    assert_eq!(bytes(&before, 2), 2 * (values + 2 * pairs) + mask);
    assert!(bytes(&after, 1) < bytes(&before, 1) - pairs);
    assert_eq!(bytes(&after, 2), 2 * bytes(&after, 1));
}

#[test]
fn parts_of_it_may_be_left_out() {
    let plain = AttentionExample {
        regions: 1,
        ..EXAMPLE
    };
    let (network, sizes) = fused(plain.model());
    assert_eq!(sizes[0].rank, 0);
    assert_eq!(attention(&network).input, ["q", "k", "v", "position_bias"]);
    assert_eq!(attention(&network).attribute.len(), 1);

    let mut bare = plain.model();
    node(&mut bare, "weights").input[0] = "scores".into();
    graph(&mut bare).node.retain(|node| node.name() != "biased");
    let (network, _) = fused(bare);
    assert_eq!(attention(&network).input, ["q", "k", "v"]);

    let mut masked = EXAMPLE.model();
    node(&mut masked, "masked").input = vec!["mask".into(), "scores".into()];
    graph(&mut masked)
        .node
        .retain(|node| node.name() != "biased");
    let (network, _) = fused(masked);
    assert_eq!(
        attention(&network).input,
        ["q", "k", "v", "", "left", "right"]
    );
    let biases = of(&network).initializer.iter();
    assert!(
        biases
            .into_iter()
            .all(|weight| weight.name() != "position_bias")
    );
}

#[test]
fn matrices_may_be_grouped_otherwise_before_they_are_masked() {
    let mut model = EXAMPLE.model();
    let made = graph(&mut model);
    let mut builder = vesal_onnx::GraphBuilder::new("sizes");
    builder.integers("flat_size", &[0, 8, 6, 6]);
    builder.integers("grouped", &[0, 1, 4, 2, 6, 6]);
    made.initializer
        .extend(builder.finish("test").graph.unwrap().initializer);
    let reshape = |from: &str, size: &str, to: &str| NodeProto {
        input: vec![from.into(), size.into()],
        output: vec![to.into()],
        op_type: Some("Reshape".into()),
        ..NodeProto::default()
    };
    let at = made
        .node
        .iter()
        .position(|node| node.name() == "biased")
        .unwrap();
    let further = [
        reshape("scores", "flat_size", "flat"),
        reshape("flat", "grouped", "regrouped"),
    ];
    made.node.splice(at..at, further);
    node(&mut model, "biased").input[0] = "regrouped".into();
    let (network, sizes) = fused(model);
    assert_eq!(sizes[0].groups, 8);
    assert_eq!(attention(&network).input[0], "q");
}

/// One test per rule: a change after which the pattern is not an attention, or not alone.
macro_rules! stays {
    ($($name:ident: |$model:ident| $mutation:expr,)*) => {$(
        #[test]
        fn $name() {
            let mut changed = EXAMPLE.model();
            let $model = &mut changed;
            $mutation;
            let network = OnnxModel::from(changed);
            let (same, count) = network.fuse_attention(|_| true).unwrap();
            assert_eq!(count, 0);
            assert!(same == network);
        }
    )*};
}

fn softmax_axis(model: &mut ModelProto, axis: usize) {
    node(model, "weights").attribute = vec![AttributeProto::int("axis", axis)];
}

/// Another node that uses a value.
fn also(model: &mut ModelProto, value: &str) {
    graph(model).node.push(NodeProto {
        input: vec![value.into()],
        output: vec!["also".into()],
        op_type: Some("Relu".into()),
        ..NodeProto::default()
    });
}

fn output(model: &mut ModelProto, value: &str) {
    let mut info = graph(model).output[0].clone();
    info.name = Some(value.into());
    graph(model).output.push(info);
}

stays! {
    weights_along_another_axis: |m| softmax_axis(m, 4),
    weights_that_others_use: |m| also(m, "weights"),
    weights_that_are_an_output: |m| output(m, "weights"),
    scores_that_others_use: |m| also(m, "scores"),
    sums_that_others_use: |m| also(m, "biased"),
    scores_that_are_an_output: |m| output(m, "scores"),
    biases_that_are_computed: |m| node(m, "biased").input[1] = "scores".into(),
    two_biases: |m| node(m, "masked").input[1] = "position_bias".into(),
    another_operator_between: |m| node(m, "biased").op_type = Some("Mul".into()),
    no_weights_of_keys: |m| node(m, "weights").op_type = Some("Sigmoid".into()),
}

#[test]
fn attributes_take_bounded_memory() {
    let many = AttentionExample {
        size: [1024, 1024, 1],
        windows: 1 << 18,
        regions: 1,
        ..EXAMPLE
    };
    let network = OnnxModel::from(many.model());
    assert_eq!(network.fuse_attention(|_| true).unwrap().1, 0);
}

#[test]
fn what_is_not_taken_stays() {
    let network = OnnxModel::from(EXAMPLE.model());
    let refused = network.fuse_attention(|_| false);
    assert_eq!(refused, Ok((network.clone(), 0)));
}
