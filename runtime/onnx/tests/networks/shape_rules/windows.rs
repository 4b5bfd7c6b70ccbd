//! Means, windows that move, and interpolation.

use prost::Message;
use vesal_onnx::OnnxModel;
use vesal_onnx::check::{CheckError, ShapeProblem};
use vesal_onnx::proto::{AttributeProto, TensorProto};

use super::{case, constant, int, integers, text};
use crate::parts::graph;

#[test]
fn means_take_axes_away_or_leave_one_value() {
    let mean = |axes: &[i64]| case("ReduceMean", &[4, 6]).and(integers("axes", axes));
    mean(&[-1]).gives(&[4, 1]);
    mean(&[1, 2]).with(int("keepdims", 0)).gives(&[]);
    for axes in [&[0][..], &[3], &[1, -2]] {
        assert!(matches!(
            mean(axes).shape_problem(),
            ShapeProblem::Values { input: "axes", .. }
        ));
    }
    assert!(matches!(mean(&[]).refused(), CheckError::Input { .. }));
}

#[test]
fn average_pools_move_a_window() {
    let pool = |pads: [usize; 4]| {
        case("AveragePool", &[2, 5, 6])
            .with(AttributeProto::ints("kernel_shape", [3, 2]))
            .with(AttributeProto::ints("strides", [2, 2]))
            .with(AttributeProto::ints("pads", pads))
    };
    pool([0; 4]).gives(&[2, 2, 3]);
    pool([1, 0, 1, 0]).gives(&[2, 3, 3]);
    assert_eq!(pool([3, 0, 0, 0]).range(), "3");
    let unstated = case("AveragePool", &[2, 5, 6]);
    assert_eq!(unstated.range(), "missing");
}

#[test]
fn resizes_interpolate_by_constant_factors() {
    let roi = || TensorProto {
        dims: vec![0],
        ..constant("roi", &[])
    };
    let factors = |values: [f32; 4]| TensorProto {
        raw_data: None,
        float_data: values.to_vec(),
        ..constant("factors", &[4])
    };
    let resize = |values| {
        case("Resize", &[2, 5, 6])
            .with(text("mode", "linear"))
            .with(text("coordinate_transformation_mode", "align_corners"))
            .and(TensorProto {
                raw_data: None,
                ..roi()
            })
            .and(factors(values))
    };
    resize([1., 1., 2., 1.5]).gives(&[2, 10, 9]);
    assert!(matches!(
        resize([2., 1., 1., 1.]).shape_problem(),
        ShapeProblem::Free { axis: 0 }
    ));
}

#[test]
fn poolings_of_weights_without_elements_are_refused() {
    let mut pool = case("MaxPool", &[2, 5, 6])
        .with(AttributeProto::ints("kernel_shape", [3]))
        .with(AttributeProto::ints("pads", [2, 2]));
    pool.constants.push(TensorProto {
        dims: vec![1, 1, 0],
        raw_data: None,
        ..constant("empty", &[])
    });
    let mut model = pool.model(&[&[1, 2]]);
    graph(&mut model).node[0].input.remove(0);
    let error = OnnxModel::load(model.encode_to_vec()).unwrap_err();
    assert!(
        matches!(
            error,
            CheckError::Shape {
                problem: ShapeProblem::Looks { .. },
                ..
            }
        ),
        "{error}"
    );
}
