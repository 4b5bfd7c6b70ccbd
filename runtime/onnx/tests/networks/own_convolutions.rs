//! Convolutions that become a custom operator.

use crate::parts::{graph, model, node, of};
use vesal_onnx::proto::{AttributeProto, ModelProto, NodeProto, TensorDataType};
use vesal_onnx::{CONVOLUTION, DOMAIN, OnnxModel, RewriteError, VolumeConvolution};

/// Names and sizes of the convolutions that become a custom operator.
fn owned(model: &ModelProto) -> Vec<(String, VolumeConvolution)> {
    let mut sizes = Vec::new();
    let network = OnnxModel::from(model.clone());
    let (network, count) = network
        .own_convolutions(|found| {
            sizes.push(*found);
            true
        })
        .unwrap();
    let own = |node: &&NodeProto| node.op_type.as_deref() == Some(CONVOLUTION);
    let names = of(&network).node.iter().filter(own);
    let names: Vec<String> = names.map(|node| node.name().to_owned()).collect();
    assert_eq!((names.len(), count), (sizes.len(), sizes.len()));
    names.into_iter().zip(sizes).collect()
}

#[test]
fn convolutions_become_an_operator_of_ours() {
    let model = model();
    let owned = owned(&model);
    let names: Vec<&str> = owned.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "first",
            "down.conv1",
            "down.conv2",
            "stride",
            "deep.conv1",
            "deep.conv2",
            "up",
            "fine.conv1",
            "fine.conv2",
            "head"
        ]
    );
    let strided = VolumeConvolution {
        channels: 2,
        filters: 4,
        kernel: [3; 3],
        stride: [2; 3],
        before: [1; 3],
        after: [1; 3],
        input: [4, 6, 8],
        transposed: None,
    };
    assert_eq!(owned[3].1, strided);
    let up = VolumeConvolution {
        channels: 4,
        filters: 2,
        input: [2, 3, 4],
        transposed: Some([1; 3]),
        ..strided
    };
    assert_eq!(owned[6].1, up);
    assert_eq!(up.output(), Some([4, 6, 8]));

    let network = OnnxModel::from(model.clone());
    let (rewritten, count) = network
        .own_convolutions(|sizes| sizes.transposed.is_some())
        .unwrap();
    assert_eq!(count, 1);
    let before = model.graph.as_ref().unwrap();
    for (node, before) in of(&rewritten).node.iter().zip(&before.node) {
        if node.name() != "up" {
            assert_eq!(node, before);
            continue;
        }
        assert_eq!((node.op_type(), node.domain()), (CONVOLUTION, DOMAIN));
        assert_eq!((&node.input, &node.output), (&before.input, &before.output));
        let attributes = [
            AttributeProto::ints("strides", [2; 3]),
            AttributeProto::ints("pads", [1; 6]),
            AttributeProto::ints("output_padding", [1; 3]),
        ];
        assert_eq!(node.attribute, attributes);
    }
    assert_eq!(of(&rewritten).initializer, before.initializer);
    let import = rewritten.model().opset_import.last().unwrap();
    assert_eq!(
        (import.domain.as_deref(), import.version),
        (Some(DOMAIN), Some(1))
    );

    let (same, none) = network.own_convolutions(|_| false).unwrap();
    assert_eq!((same, none), (network, 0));
}

#[test]
fn convolutions_that_do_not_fit_stay() {
    type Change = fn(&mut ModelProto);
    let changes: [Change; 10] = [
        |m| node(m, "stride").attribute[4].i = Some(2),
        |m| node(m, "stride").attribute[3].ints[0] = 2,
        |m| node(m, "stride").attribute[0].ints[0] = 1,
        |m| node(m, "stride").attribute[1].ints[0] = -1,
        |m| {
            node(m, "stride")
                .attribute
                .push(AttributeProto::int("else", 1))
        },
        |m| node(m, "stride").attribute[1].ref_attr_name = Some("pads".into()),
        |m| node(m, "stride").input[1] = "first".into(),
        |m| node(m, "stride").input.push("down.norm1.bias".into()),
        |m| {
            let weights = &mut graph(m).initializer;
            let weight = weights
                .iter_mut()
                .find(|weight| weight.name() == "stride.weight");
            weight.unwrap().raw_data = Some(vec![0; 4].into());
        },
        |m| {
            let weights = &mut graph(m).initializer;
            let weight = weights
                .iter_mut()
                .find(|weight| weight.name() == "stride.weight");
            weight.unwrap().data_type = Some(TensorDataType::Float16 as i32);
        },
    ];
    let mut refused = Vec::new();
    for (index, change) in changes.into_iter().enumerate() {
        let mut model = model();
        change(&mut model);
        let network = OnnxModel::from(model);
        let network = match network.own_convolutions(|_| true) {
            Ok((network, _)) => network,
            // With such sizes, later values have no shape.
            Err(refusal) => {
                assert!(matches!(refusal, RewriteError::Shapes(_)), "{refusal:?}");
                refused.push(index);
                continue;
            }
        };
        let mut nodes = of(&network).node.iter();
        let stride = nodes.find(|node| node.name() == "stride").unwrap();
        assert_eq!(stride.op_type(), "Conv", "change {index}");
    }
    assert!(refused.len() < 7, "{refused:?}");
}
