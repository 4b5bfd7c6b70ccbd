//! An example network that tests change, and its parts.

#![allow(dead_code, unused_macros)]

use vesal_onnx::OnnxModel;
use vesal_onnx::proto::{AttributeProto, AttributeType, GraphProto, ModelProto, NodeProto};

use crate::example::Example;

pub const EXAMPLE: Example = Example {
    features: 2,
    classes: 3,
    window: [4, 6, 8],
    seed: 1,
};

pub fn model() -> ModelProto {
    EXAMPLE.model()
}

pub fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

pub fn of(network: &OnnxModel) -> &GraphProto {
    network.model().graph.as_ref().unwrap()
}

pub fn node<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut NodeProto {
    let mut nodes = graph(model).node.iter_mut();
    nodes.find(|node| node.name() == name).unwrap()
}

/// An attribute `body` of this type, changed.
pub fn attributed(kind: AttributeType, change: impl FnOnce(&mut AttributeProto)) -> AttributeProto {
    let mut attribute = AttributeProto {
        name: Some("body".into()),
        r#type: Some(kind as i32),
        ..Default::default()
    };
    change(&mut attribute);
    attribute
}

/// One test per rule: a mutation of a good network, and the error that it gives, as `fn(&ModelProto) -> CheckError` says.
macro_rules! refused {
    (by $judge:path; $($name:ident: |$model:ident| $mutation:expr => $expected:pat $(if $guard:expr)?,)*) => {$(
        #[test]
        fn $name() {
            let mut changed = crate::parts::model();
            let $model = &mut changed;
            $mutation;
            let error = $judge(&changed);
            assert!(matches!(&error, $expected $(if $guard)?), "{error:?}");
        }
    )*};
}
