//! 16-bit floats.

use vesal_onnx::proto::{AttributeProto, TensorDataType, TensorProto, ValueInfoProto};
use vesal_onnx::{Interface, OnnxModel, RewriteError};

use super::weight;
use crate::parts::{graph, model, node, of};

fn element(info: &ValueInfoProto) -> TensorDataType {
    let kind = info.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    if kind.elem_type() == TensorDataType::Float16 as i32 {
        TensorDataType::Float16
    } else {
        TensorDataType::Float
    }
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
    let half = OnnxModel::from(model.clone())
        .half(Interface::Half)
        .unwrap();
    let halved = weight(of(&half), "scales");
    assert_eq!(halved.data_type(), TensorDataType::Float16 as i32);
    let kept = weight(of(&half), "scales.single");
    assert_eq!(kept.raw_data, scales.raw_data);
    let up = of(&half).node.iter().find(|node| node.name() == "up");
    assert_eq!(up.unwrap().input[2], "scales.single");
    let skip = of(&half).node.iter().find(|node| node.name() == "skip");
    assert_eq!(skip.unwrap().input[1], "scales");

    node(&mut model, "up").input[2] = "image".into();
    assert_eq!(
        OnnxModel::from(model).half(Interface::Half),
        Err(RewriteError::Computed {
            node: "up".into(),
            value: "image".into()
        })
    );
}
