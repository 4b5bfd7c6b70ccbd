//! Mirroring and quarter turns. They are exact and copy nothing, because only strides change.

use ndarray::Axis;

use super::patch::Patch;

/// Reverses a spatial axis.
pub fn flip(patch: &mut Patch, axis: usize) {
    patch.image.invert_axis(Axis(axis + 1));
    patch.classes.invert_axis(Axis(axis));
}

/// Rotates a patch by `turns` times 90 degrees, from the first axis of the plane to the second.
///
/// **Shapes**: the sides of the plane are exchanged where the number of turns is odd.
///
/// **Source**: MONAI 1.6.1 `Rotate90`; PyTorch `rot90`.
pub fn quarter_turns(patch: &mut Patch, [from, to]: [usize; 2], turns: usize) {
    let transpose = |patch: &mut Patch| {
        patch.image.swap_axes(from + 1, to + 1);
        patch.classes.swap_axes(from, to);
    };
    match turns % 4 {
        1 => {
            flip(patch, to);
            transpose(patch);
        }
        2 => {
            flip(patch, from);
            flip(patch, to);
        }
        3 => {
            transpose(patch);
            flip(patch, to);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Array4};

    use super::*;

    fn patch() -> Patch {
        Patch {
            image: Array4::from_shape_fn((2, 5, 4, 3), |(c, x, y, z)| {
                (c * 1000 + x * 100 + y * 10 + z) as f32
            }),
            classes: Array3::from_shape_fn((5, 4, 3), |(x, y, z)| (x * 100 + y * 10 + z) as u16),
        }
    }

    /// Checks that image and classes were moved alike.
    fn agree(patch: &Patch) {
        let first = patch.image.index_axis(Axis(0), 0);
        assert_eq!(first.mapv(|value| value as u16), patch.classes);
    }

    #[test]
    fn a_flip_moves_image_and_classes_alike_and_undoes_itself() {
        for axis in 0..3 {
            let mut flipped = patch();
            flip(&mut flipped, axis);
            assert_ne!(flipped, patch());
            agree(&flipped);
            flip(&mut flipped, axis);
            assert_eq!(flipped, patch());
        }
    }

    #[test]
    fn four_quarter_turns_are_none() {
        for plane in [[0, 1], [1, 0], [0, 2], [1, 2]] {
            for turns in 1..4 {
                let mut turned = patch();
                quarter_turns(&mut turned, plane, turns);
                assert_ne!(turned, patch());
                agree(&turned);
                quarter_turns(&mut turned, plane, 4 - turns);
                assert_eq!(turned, patch());
            }
        }
    }

    #[test]
    fn a_quarter_turn_leads_from_the_first_axis_to_the_second() {
        let mut turned = patch();
        quarter_turns(&mut turned, [0, 1], 1);
        assert_eq!(turned.classes.dim(), (4, 5, 3));
        assert_eq!(turned.classes[[0, 2, 1]], 200 + 3 * 10 + 1);
    }
}
