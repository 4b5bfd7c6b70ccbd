//! Operators that move elements.

use prost::Message;
use vesal_onnx::OnnxModel;
use vesal_onnx::check::{CheckError, ShapeProblem};
use vesal_onnx::proto::{AttributeProto, TensorProto};

use super::{case, constant, int, integers, text};
use crate::parts::graph;

#[test]
fn concatenations_grow_along_one_axis() {
    let joined = case("Concat", &[2, 3]).with(int("axis", -1));
    let mut model = joined.model(&[&[2, 6]]);
    graph(&mut model).node[0].input.push("x".into());
    OnnxModel::load(model.encode_to_vec()).unwrap();
    let batch = case("Concat", &[2, 3]).with(int("axis", 0));
    assert!(matches!(
        batch.shape_problem(),
        ShapeProblem::Free { axis: 0 }
    ));
}

#[test]
fn reshapes_keep_elements_and_batch() {
    let reshape = |shape: &[i64]| case("Reshape", &[4, 6]).and(integers("shape", shape));
    reshape(&[0, 24]).gives(&[24]);
    reshape(&[0, 0, 2, 3]).gives(&[4, 2, 3]);
    reshape(&[0, -1, 3]).gives(&[8, 3]);
    reshape(&[-1, 8, 3]).gives(&[8, 3]);
    // Of the batch, of another number of elements, or of no number.
    for shape in [
        &[2, -1][..],
        &[-1, 4],
        &[-1, 24, 2],
        &[0, 23],
        &[0, -1, 5],
        &[0, -1, -1],
        &[0, -2, 3],
        &[24, 0],
        &[0, 0, 0, 0],
        &[],
    ] {
        let problem = reshape(shape).shape_problem();
        assert!(
            matches!(problem, ShapeProblem::Reshape { .. }),
            "{shape:?}: {problem}"
        );
    }
    let many = reshape(&[0, 24, 1, 1, 1, 1, 1, 1, 1]);
    assert!(matches!(
        many.shape_problem(),
        ShapeProblem::Rank {
            input: "output",
            found: 9,
            ..
        }
    ));
    assert_eq!(reshape(&[0, 24]).with(int("allowzero", 1)).range(), "1");
    let floats = case("Reshape", &[4, 6]).and(constant("shape", &[2]));
    assert!(matches!(floats.refused(), CheckError::Input { .. }));
    let mut computed = reshape(&[0, 24]).model(&[&[24]]);
    graph(&mut computed).node[0].input[1] = "x".into();
    let error = OnnxModel::load(computed.encode_to_vec()).unwrap_err();
    assert!(matches!(
        error,
        CheckError::Input {
            what: "constant shape",
            ..
        }
    ));
}

#[test]
fn transposes_permute_axes() {
    let turned =
        |order: [usize; 3]| case("Transpose", &[4, 6]).with(AttributeProto::ints("perm", order));
    turned([0, 2, 1]).gives(&[6, 4]);
    assert!(matches!(
        turned([1, 0, 2]).shape_problem(),
        ShapeProblem::Free { axis: 1 }
    ));
    assert_eq!(turned([0, 2, 2]).range(), "[0, 2, 2]");
}

#[test]
fn gathers_put_indices_in_the_place_of_an_axis() {
    let gather = |indices: TensorProto| case("Gather", &[4, 6]).with(int("axis", 1)).and(indices);
    gather(integers("i", &[0, 3, -4])).gives(&[3, 6]);
    let square = TensorProto {
        dims: vec![2, 2],
        ..integers("i", &[0, 1, 2, 3])
    };
    gather(square).gives(&[2, 2, 6]);
    let scalar = TensorProto {
        dims: Vec::new(),
        ..integers("i", &[2])
    };
    gather(scalar).gives(&[6]);
    for outside in [4, -5, i64::MIN] {
        let problem = gather(integers("i", &[0, outside])).shape_problem();
        assert!(
            matches!(
                problem,
                ShapeProblem::Values {
                    input: "indices",
                    ..
                }
            ),
            "{problem}"
        );
    }
    let batch = case("Gather", &[4, 6]).and(integers("i", &[0]));
    assert!(matches!(
        batch.shape_problem(),
        ShapeProblem::Free { axis: 0 }
    ));
    let floats = gather(constant("i", &[1])).refused();
    assert!(matches!(
        floats,
        CheckError::Input {
            what: "constant indices",
            ..
        }
    ));
}

#[test]
fn slices_are_limited_to_their_axes() {
    let slice = |starts: &[i64], ends: &[i64]| {
        case("Slice", &[8, 6])
            .and(integers("starts", starts))
            .and(integers("ends", ends))
    };
    slice(&[1, -2], &[i64::MAX, 6])
        .and(integers("axes", &[1, -1]))
        .gives(&[7, 2]);
    slice(&[7], &[0])
        .and(integers("axes", &[1]))
        .and(integers("steps", &[-2]))
        .gives(&[4, 6]);
    let empty = slice(&[3], &[3]).and(integers("axes", &[1]));
    assert!(matches!(
        empty.shape_problem(),
        ShapeProblem::Vanishes { axis: 1, found: 0 }
    ));
    // Without axes, the first are meant: the batch.
    assert!(matches!(
        slice(&[0], &[1]).shape_problem(),
        ShapeProblem::Free { axis: 0 }
    ));
    for (axes, steps) in [
        (&[1, 1][..], &[1, 1][..]),
        (&[1, 3], &[1, 1]),
        (&[1, 2], &[1, 0]),
        (&[1], &[1, 1]),
    ] {
        let other = slice(&[0, 0], &[1, 1])
            .and(integers("axes", axes))
            .and(integers("steps", steps));
        assert!(matches!(other.shape_problem(), ShapeProblem::Values { .. }));
    }
}

#[test]
fn splits_give_every_part_its_size() {
    let split = |sizes: &[i64]| {
        case("Split", &[6, 5])
            .with(int("axis", 1))
            .and(integers("sizes", sizes))
    };
    split(&[1, 2, 3]).splits(&[&[1, 5], &[2, 5], &[3, 5]]);
    let equal = |parts| {
        case("Split", &[6, 5])
            .with(int("axis", 1))
            .with(int("num_outputs", parts))
    };
    equal(2).splits(&[&[3, 5], &[3, 5]]);
    for (case, outputs) in [
        (split(&[1, 2, 3]), 2),
        (split(&[1, 4]), 2),
        (split(&[7, -1]), 2),
        (split(&[6, 0]), 2),
        (equal(4), 4),
        (equal(3), 2),
        (equal(0), 1),
        (equal(2).and(integers("sizes", &[3, 3])), 2),
        (case("Split", &[6, 5]).with(int("axis", 1)), 2),
        (case("Split", &[6, 5]).and(integers("sizes", &[1])), 1),
    ] {
        let outputs = vec![&[3, 5][..]; outputs];
        let error = case.load(&outputs).unwrap_err();
        assert!(!matches!(error, CheckError::Declaration { .. }), "{error}");
    }
}

#[test]
fn parts_of_splits_are_counted_before_they_are_kept() {
    let split = case("Split", &[256])
        .with(int("axis", 1))
        .with(int("num_outputs", 256));
    let parts = vec![&[1][..]; 256];
    let mut model = split.model(&parts);
    let node = graph(&mut model).node[0].clone();
    for copy in 0..64 {
        let mut node = node.clone();
        for output in &mut node.output {
            *output = format!("{copy}.{output}");
        }
        graph(&mut model).node.push(node);
    }
    let error = OnnxModel::load(model.encode_to_vec()).unwrap_err();
    assert!(matches!(
        error,
        CheckError::TooMany {
            what: "outputs of nodes",
            found: 16_640
        }
    ));
}

#[test]
fn pads_add_to_axes() {
    let pad = |pads: &[i64]| case("Pad", &[4, 6]).and(integers("pads", pads));
    pad(&[0, 1, 0, 0, 2, 3]).gives(&[7, 9]);
    pad(&[0, -1, 0, 0, 0, 0])
        .and(constant("value", &[]))
        .gives(&[3, 6]);
    pad(&[0, 3, 0, 0, 0, 0])
        .with(text("mode", "reflect"))
        .gives(&[7, 6]);
    assert!(matches!(
        pad(&[1, 0, 0, 0, 0, 0]).shape_problem(),
        ShapeProblem::Free { axis: 0 }
    ));
    for pads in [&[0, 1][..], &[0; 7]] {
        assert!(matches!(
            pad(pads).shape_problem(),
            ShapeProblem::Values { input: "pads", .. }
        ));
    }
    let far = pad(&[0, 4, 0, 0, 0, 0]).with(text("mode", "reflect"));
    assert!(matches!(
        far.shape_problem(),
        ShapeProblem::Values { input: "pads", .. }
    ));
    for pads in [
        [0, -3, 0, 0, -1, 0],
        [0, -5, 0, 0, 9, 0],
        [0, i64::MAX, 0, 0, i64::MAX, 0],
    ] {
        assert!(matches!(
            pad(&pads).shape_problem(),
            ShapeProblem::Vanishes { axis: 1, .. }
        ));
    }
    let wrapped = pad(&[0, 1, 0, 0, 0, 0]).with(text("mode", "wrap"));
    assert_eq!(wrapped.range(), "\"wrap\"");
}
