//! Rewrites of graphs, and their refusals.

mod attention;
mod halves;
mod norms;
mod refusals;

use std::num::NonZeroUsize;

use crate::example::Example;
use crate::parts::{EXAMPLE, graph, model, of};
use vesal_onnx::proto::{DimensionProto, GraphProto, TensorProto, ValueInfoProto};
use vesal_onnx::{HeadProblem, OnnxModel, RewriteError};

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

fn two() -> NonZeroUsize {
    NonZeroUsize::new(2).unwrap()
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
