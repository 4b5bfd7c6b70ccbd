//! Products of four rows with a matrix.

use super::lanes::{LANES, Lanes};

/// Rows computed at once.
pub const ROWS: usize = 4;

/// `into[r, :] = Σ_k rows[r][k] · matrix[k, :]`.
///
/// **Shapes**: rows as long as `matrix` `[.., pitch]` has rows, or shorter; `pitch` in whole vectors; `into`
/// `[ROWS, pitch]`.
#[inline(always)]
pub fn multiply_rows<L: Lanes>(
    rows: [&[f32]; ROWS],
    matrix: &[f32],
    pitch: usize,
    into: &mut [f32],
) {
    let mut column = 0;
    while column + 2 * LANES <= pitch {
        multiply_columns::<L, 2>(rows, matrix, pitch, column, into);
        column += 2 * LANES;
    }
    if column < pitch {
        multiply_columns::<L, 1>(rows, matrix, pitch, column, into);
    }
}

/// The same for `V` vectors of columns.
#[inline(always)]
fn multiply_columns<L: Lanes, const V: usize>(
    [a, b, c, d]: [&[f32]; ROWS],
    matrix: &[f32],
    pitch: usize,
    column: usize,
    into: &mut [f32],
) {
    let mut sums = [[L::splat(0.0); V]; ROWS];
    let factors = a.iter().zip(b).zip(c.iter().zip(d));
    for (((a, b), (c, d)), row) in factors.zip(matrix.chunks_exact(pitch)) {
        let row = &row[column..column + V * LANES];
        let vectors: [L; V] = std::array::from_fn(|v| vector(&row[v * LANES..]));
        for (sums, factor) in sums.iter_mut().zip([a, b, c, d]) {
            let factor = L::splat(*factor);
            for (sum, vector) in sums.iter_mut().zip(vectors) {
                *sum = factor.multiply_add(vector, *sum);
            }
        }
    }
    for (into, sums) in into.chunks_exact_mut(pitch).zip(sums) {
        let into = into[column..].chunks_exact_mut(LANES);
        for (into, sum) in into.zip(sums) {
            into.copy_from_slice(&sum.values());
        }
    }
}

/// `into[k, :] += Σ_r factors[r][k] · rows[r]`.
///
/// **Shapes**: rows of whole vectors; `into` `[.., length of a row]` with as many rows as there are factors, or more.
#[inline(always)]
pub fn add_outer<L: Lanes>(factors: [&[f32]; ROWS], rows: [&[f32]; ROWS], into: &mut [f32]) {
    let pitch = rows[0].len();
    let [a, b, c, d] = factors;
    for column in (0..pitch).step_by(LANES) {
        let [e, f, g, h] = rows.map(|row| vector::<L>(&row[column..]));
        let factors = a.iter().zip(b).zip(c.iter().zip(d));
        for (((a, b), (c, d)), into) in factors.zip(into.chunks_exact_mut(pitch)) {
            let into = &mut into[column..column + LANES];
            let mut sum = vector::<L>(into);
            for (factor, row) in [(a, e), (b, f), (c, g), (d, h)] {
                sum = L::splat(*factor).multiply_add(row, sum);
            }
            into.copy_from_slice(&sum.values());
        }
    }
}

/// The first eight values.
#[inline(always)]
fn vector<L: Lanes>(values: &[f32]) -> L {
    let (first, _) = values.split_first_chunk().expect("a whole vector");
    L::load(first)
}
