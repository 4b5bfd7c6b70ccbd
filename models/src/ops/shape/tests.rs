//! Shape rules of operations, and their panics.

use std::panic::{UnwindSafe, catch_unwind};

use super::*;

fn volume() -> Shape {
    Shape::batched([1, 2, 4, 6, 8])
}

fn refusal(act: impl FnOnce() -> Shape + UnwindSafe) -> String {
    let panic = catch_unwind(act).expect_err("a panic");
    *panic.downcast::<String>().expect("a message")
}

#[test]
fn windows_are_folded_into_the_batch() {
    let windows = volume().reshaped(&Shape::batched([16, 4, 6]));
    assert_eq!(windows.to_string(), "[16 N, 4, 6]");
    assert_eq!(windows.sizes_for(3), [48, 4, 6]);
    assert_eq!(
        refusal(|| volume().reshaped(&Shape::batched([16, 4, 7]))),
        "[N, 2, 4, 6, 8] cannot be reshaped to [16 N, 4, 7]"
    );
    assert_eq!(
        refusal(|| volume().reshaped(&Shape::fixed([384]))),
        "[N, 2, 4, 6, 8] cannot be reshaped to [384]"
    );
}

#[test]
fn the_axis_of_the_batch_stays_the_first() {
    let turned = volume().transposed(&[0, 2, 3, 4, 1]);
    assert_eq!(turned, Shape::batched([1, 4, 6, 8, 2]));
    assert_eq!(
        refusal(|| volume().transposed(&[1, 0, 2, 3, 4])),
        "the axis of the batch of [N, 2, 4, 6, 8] stays the first, found the order [1, 0, 2, 3, 4]"
    );
    assert_eq!(
        refusal(|| volume().sliced(0, &(0..1), 1)),
        "axis 0 of [N, 2, 4, 6, 8] is that of the batch"
    );
}

#[test]
fn parts_of_axes() {
    assert_eq!(volume().sliced(4, &(1..8), 2)[4], 4);
    assert_eq!(volume().gathered(2, 3, Some(3))[2], 3);
    assert_eq!(
        refusal(|| volume().gathered(2, 3, Some(4))),
        "index 4 is beyond axis 2 of [N, 2, 4, 6, 8]"
    );
    let widths = [[0, 0], [0, 0], [1, 2], [0, 0], [0, 0]];
    assert_eq!(volume().padded(&widths)[2], 7);
    let long = volume().with(3, 5);
    assert_eq!(Shape::concatenated([&volume(), &long], 3)[3], 11);
    assert_eq!(
        refusal(|| Shape::concatenated([&volume(), &volume().with(3, 5)], 1)),
        "[N, 2, 4, 5, 8] cannot follow [N, 2, 4, 6, 8] along axis 1"
    );
}

#[test]
fn repetition_is_aligned_at_the_end() {
    for other in [
        Shape::fixed([8]),
        Shape::fixed([2, 1, 1, 1]),
        Shape::fixed([1, 2, 4, 6, 8]),
        Shape::batched([1, 2, 1, 1, 1]),
    ] {
        assert_eq!(volume().broadcast(&other), volume());
    }
    for (other, text) in [
        (Shape::fixed([2]), "[2]"),
        (Shape::fixed([3, 2, 4, 6, 8]), "[3, 2, 4, 6, 8]"),
        (Shape::batched([2, 2, 4, 6, 8]), "[2 N, 2, 4, 6, 8]"),
        (Shape::batched([1, 8]), "[N, 8]"),
    ] {
        assert_eq!(
            refusal(move || volume().broadcast(&other)),
            format!("{text} cannot be repeated to [N, 2, 4, 6, 8]")
        );
    }
}

#[test]
fn products_of_matrices() {
    let rows = Shape::batched([4, 3, 6, 8]);
    let columns = Shape::batched([4, 3, 8, 5]);
    assert_eq!(rows.multiplied(&columns), Shape::batched([4, 3, 6, 5]));
    let matrix = Shape::fixed([8, 5]);
    assert_eq!(rows.multiplied(&matrix), Shape::batched([4, 3, 6, 5]));
    let left = Shape::fixed([9, 6]);
    assert_eq!(left.multiplied(&rows), Shape::batched([4, 3, 9, 8]));
    let flat = Shape::batched([1, 8]);
    assert_eq!(flat.multiplied(&matrix), Shape::batched([1, 5]));
    assert_eq!(
        refusal(|| Shape::fixed([9, 8]).multiplied(&Shape::batched([4, 3, 6, 8]))),
        "[9, 8] cannot be multiplied with [4 N, 3, 6, 8]"
    );
    assert_eq!(
        refusal(|| Shape::fixed([9, 8]).multiplied(&Shape::batched([8, 3]))),
        "[9, 8] cannot be multiplied with [8 N, 3]"
    );
}
