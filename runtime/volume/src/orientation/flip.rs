//! Axes reversed in place.

use rayon::prelude::*;

/// Reverses axes in place, pairs of slabs in parallel.
pub(super) fn flip<T: Send>(data: &mut [T], [nx, ny, nz]: [usize; 3], flip: [bool; 3]) {
    if data.is_empty() {
        return;
    }
    let slab = ny * nz;
    if !flip[0] {
        if flip[1] || flip[2] {
            data.par_chunks_exact_mut(slab)
                .for_each(|slab| flip_slab(slab, nz, flip[1], flip[2]));
        }
        return;
    }
    let (front, rest) = data.split_at_mut(nx / 2 * slab);
    let (middle, back) = rest.split_at_mut(nx % 2 * slab);
    let pairs = front
        .par_chunks_exact_mut(slab)
        .zip(back.par_chunks_exact_mut(slab).rev());
    pairs.for_each(|(a, b)| {
        let (a, b) = (a.chunks_exact_mut(nz), b.chunks_exact_mut(nz));
        if flip[1] {
            a.zip(b.rev()).for_each(|(a, b)| swap(a, b, flip[2]));
        } else {
            a.zip(b).for_each(|(a, b)| swap(a, b, flip[2]));
        }
    });
    flip_slab(middle, nz, flip[1], flip[2]);
}

/// Reverses the order of the rows of a slab, or the rows.
fn flip_slab<T>(slab: &mut [T], nz: usize, order: bool, rows: bool) {
    let (done, left) = if order {
        let ny = slab.len() / nz;
        let (first, last) = slab.split_at_mut(ny / 2 * nz);
        let pairs = first
            .chunks_exact_mut(nz)
            .zip(last.chunks_exact_mut(nz).rev());
        pairs.for_each(|(a, b)| swap(a, b, rows));
        // The middle row remains.
        (ny / 2, ny % 2)
    } else {
        (0, slab.len() / nz)
    };
    if rows {
        let rows = slab.chunks_exact_mut(nz).skip(done).take(left);
        rows.for_each(|row| row.reverse());
    }
}

/// Exchanges two rows, each reversed or not.
fn swap<T>(a: &mut [T], b: &mut [T], reversed: bool) {
    if reversed {
        a.iter_mut()
            .zip(b.iter_mut().rev())
            .for_each(|(a, b)| std::mem::swap(a, b));
    } else {
        a.swap_with_slice(b);
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, s};

    use super::*;

    #[test]
    fn every_voxel_moves_to_the_opposite_place() {
        for shape in [[4, 6, 5], [3, 5, 4], [1, 1, 7], [2, 1, 1], [0, 2, 3]] {
            let original = Array3::from_shape_fn(shape, |(x, y, z)| (100 * x + 10 * y + z) as u16);
            for flips in 0..8 {
                let axes: [bool; 3] = std::array::from_fn(|axis| flips >> axis & 1 == 1);
                let mut found = original.clone();
                flip(found.as_slice_mut().unwrap(), shape, axes);
                let steps = axes.map(|reversed| if reversed { -1 } else { 1 });
                let expected = original.slice(s![..;steps[0], ..;steps[1], ..;steps[2]]);
                assert_eq!(found, expected, "{axes:?}");
            }
        }
    }
}
