//! Operators that compute with all elements.

use vesal_onnx::check::{CheckError, InitializerProblem, ShapeProblem};

use super::{case, constant, int, integers, text};

#[test]
fn elementwise_operators_of_one_input_keep_its_shape() {
    for operator in [
        "Elu",
        "Erf",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "LeakyRelu",
        "Mish",
        "Relu",
        "Selu",
        "Sigmoid",
        "Softplus",
        "Sqrt",
        "Tanh",
    ] {
        case(operator, &[2, 3, 4]).gives(&[2, 3, 4]);
    }
    case("Gelu", &[2, 3])
        .with(text("approximate", "tanh"))
        .gives(&[2, 3]);
    let other = case("Gelu", &[2, 3]).with(text("approximate", "erf"));
    assert_eq!(other.range(), "\"erf\"");
}

#[test]
fn elementwise_operators_of_two_inputs_broadcast() {
    for operator in ["Add", "Sub", "Mul", "Div", "Pow"] {
        case(operator, &[2, 3, 1])
            .and(constant("c", &[3, 4]))
            .gives(&[2, 3, 4]);
        case(operator, &[2, 3])
            .and(constant("c", &[]))
            .gives(&[2, 3]);
        let unequal = case(operator, &[2, 3]).and(constant("c", &[4]));
        assert!(matches!(
            unequal.shape_problem(),
            ShapeProblem::Broadcast { .. }
        ));
    }
}

#[test]
fn batch_normalizations_have_a_value_for_each_channel() {
    let vector = |name: &str, length| constant(name, &[length]);
    let norm = |last| {
        case("BatchNormalization", &[2, 4, 4])
            .and(vector("scale", 2))
            .and(vector("bias", 2))
            .and(vector("mean", 2))
            .and(vector("variance", last))
    };
    norm(2).gives(&[2, 4, 4]);
    assert!(matches!(
        norm(3).shape_problem(),
        ShapeProblem::Channels {
            input: "variance",
            ..
        }
    ));
    assert_eq!(norm(2).with(int("training_mode", 1)).range(), "1");
}

#[test]
fn layer_normalizations_go_over_the_last_axes() {
    let norm = |axis, scale: &[i64]| {
        case("LayerNormalization", &[5, 6, 7])
            .with(int("axis", axis))
            .and(constant("scale", scale))
    };
    norm(-1, &[7]).gives(&[5, 6, 7]);
    norm(-1, &[7]).and(constant("bias", &[7])).gives(&[5, 6, 7]);
    norm(2, &[6, 7]).gives(&[5, 6, 7]);
    assert!(matches!(
        norm(-1, &[6]).shape_problem(),
        ShapeProblem::Sizes { input: "scale", .. }
    ));
    let biased = norm(-1, &[7]).and(constant("bias", &[1]));
    assert!(matches!(
        biased.shape_problem(),
        ShapeProblem::Sizes { input: "bias", .. }
    ));
    for axis in [0, -4, 4] {
        assert_eq!(norm(axis, &[7]).range(), axis.to_string());
    }
    let halved = norm(-1, &[7]).with(int("stash_type", 10));
    assert_eq!(halved.range(), "10");
    let mean = norm(-1, &[7]).load(&[&[5, 6, 7], &[5, 6, 1]]).unwrap_err();
    assert!(matches!(
        mean,
        CheckError::Arity {
            what: "outputs",
            ..
        }
    ));
}

#[test]
fn softmax_goes_along_one_axis() {
    case("Softmax", &[5, 6]).gives(&[5, 6]);
    case("Softmax", &[5, 6]).with(int("axis", 1)).gives(&[5, 6]);
    assert_eq!(case("Softmax", &[5, 6]).with(int("axis", -3)).range(), "-3");
}

#[test]
fn products_of_matrices_sum_over_the_inner_axis() {
    let product = |x: &[usize], y: &[i64]| case("MatMul", x).and(constant("w", y));
    product(&[3, 4], &[4, 5]).gives(&[3, 5]);
    product(&[7, 3, 4], &[7, 4, 5]).gives(&[7, 3, 5]);
    product(&[1, 3, 4], &[7, 4, 5]).gives(&[7, 3, 5]);
    // The batch as rows.
    product(&[4], &[4, 5]).gives(&[5]);
    for (x, y) in [(vec![3, 4], vec![5, 4]), (vec![4], vec![4])] {
        let problem = product(&x, &y).shape_problem();
        let expected = matches!(
            problem,
            ShapeProblem::Product { .. } | ShapeProblem::Rank { .. }
        );
        assert!(expected, "{problem}");
    }
    let unequal = product(&[6, 3, 4], &[7, 4, 5]).shape_problem();
    assert!(matches!(unequal, ShapeProblem::Broadcast { .. }));
}

#[test]
fn gemm_multiplies_matrices_that_may_be_transposed() {
    let gemm = |weights: &[i64]| case("Gemm", &[4]).and(constant("w", weights));
    gemm(&[4, 5]).gives(&[5]);
    gemm(&[5, 4]).with(int("transB", 1)).gives(&[5]);
    gemm(&[4, 5]).and(constant("c", &[5])).gives(&[5]);
    gemm(&[4, 5]).and(constant("c", &[1, 1])).gives(&[5]);
    assert!(matches!(
        gemm(&[5, 4]).shape_problem(),
        ShapeProblem::Product { .. }
    ));
    let long = gemm(&[4, 5]).and(constant("c", &[3, 1, 5]));
    assert!(matches!(
        long.shape_problem(),
        ShapeProblem::Broadcast { .. }
    ));
    // It would sum over the batch.
    let turned = gemm(&[4, 5]).with(int("transA", 1));
    assert!(matches!(
        turned.shape_problem(),
        ShapeProblem::Product { .. }
    ));
}

#[test]
fn integers_are_constants_of_shapes_alone() {
    let added = case("Mul", &[4]).and(integers("c", &[1, 2, 3, 4]));
    assert!(matches!(
        added.refused(),
        CheckError::Initializer {
            problem: InitializerProblem::Element { .. },
            ..
        }
    ));
}
