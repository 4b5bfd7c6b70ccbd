//! Small dense linear algebra in `f64`.
//!
//! Every sum of products runs in index order with fused multiply-add and every elimination divides by multiplying with
//! the reciprocal pivot, as the reference's BLAS and LAPACK do: the shape of a resampled grid is a rounded quotient,
//! and where the exact quotient is a half (0.5 mm → 1 mm), the last bit of the result decides.

/// A square matrix, row by row.
pub(crate) type Matrix<const N: usize> = [[f64; N]; N];

pub(crate) const fn identity<const N: usize>() -> Matrix<N> {
    let mut rows = [[0.0; N]; N];
    let mut index = 0;
    while index < N {
        rows[index][index] = 1.0;
        index += 1;
    }
    rows
}

pub(crate) fn transpose<const N: usize>(a: &Matrix<N>) -> Matrix<N> {
    std::array::from_fn(|row| std::array::from_fn(|column| a[column][row]))
}

/// The product `a b`.
pub(crate) fn multiply<const N: usize>(a: &Matrix<N>, b: &Matrix<N>) -> Matrix<N> {
    std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            (0..N).fold(0.0, |sum, k| f64::mul_add(a[row][k], b[k][column], sum))
        })
    })
}

/// The product of a matrix and a vector.
pub(crate) fn apply<const N: usize>(a: &Matrix<N>, v: &[f64; N]) -> [f64; N] {
    std::array::from_fn(|row| (0..N).fold(0.0, |sum, k| f64::mul_add(a[row][k], v[k], sum)))
}

/// The determinant of a 3×3 matrix.
pub(crate) fn determinant(a: &Matrix<3>) -> f64 {
    a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1])
        - a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0])
        + a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0])
}

/// `a⁻¹ b` by Gaussian elimination with partial pivoting; `None` where a pivot is zero or not finite.
pub(crate) fn solve<const N: usize>(a: &Matrix<N>, b: &Matrix<N>) -> Option<Matrix<N>> {
    let (mut lower_upper, mut x) = (*a, *b);
    for column in 0..N {
        for row in 1..N {
            let known = row.min(column);
            let product = (0..known).fold(0.0, |sum, k| {
                f64::mul_add(lower_upper[row][k], lower_upper[k][column], sum)
            });
            lower_upper[row][column] -= product;
        }
        let mut pivot = column;
        for row in column + 1..N {
            if lower_upper[row][column].abs() > lower_upper[pivot][column].abs() {
                pivot = row;
            }
        }
        lower_upper.swap(column, pivot);
        x.swap(column, pivot);
        let reciprocal = lower_upper[column][column].recip();
        if !reciprocal.is_finite() || reciprocal == 0.0 {
            return None;
        }
        for row in &mut lower_upper[column + 1..] {
            row[column] *= reciprocal;
        }
    }
    for (row, entries) in lower_upper.iter().enumerate() {
        for (k, &factor) in entries[..row].iter().enumerate() {
            eliminate(&mut x, row, k, factor);
        }
    }
    for (row, entries) in lower_upper.iter().enumerate().rev() {
        for (k, &factor) in entries.iter().enumerate().skip(row + 1).rev() {
            eliminate(&mut x, row, k, factor);
        }
        x[row]
            .iter_mut()
            .for_each(|value| *value *= entries[row].recip());
    }
    Some(x)
}

/// Subtracts `factor` times row `from` from row `row`.
fn eliminate<const N: usize>(x: &mut Matrix<N>, row: usize, from: usize, factor: f64) {
    let source = x[from];
    for (value, source) in x[row].iter_mut().zip(source) {
        *value = f64::mul_add(-factor, source, *value);
    }
}

/// The lower Cholesky factor of a symmetric matrix; `None` where it is not positive definite.
pub(crate) fn cholesky(a: &Matrix<3>) -> Option<Matrix<3>> {
    let mut lower = [[0.0; 3]; 3];
    for column in 0..3 {
        let squares = (0..column).fold(0.0, |sum, k| {
            f64::mul_add(lower[column][k], lower[column][k], sum)
        });
        let diagonal = (a[column][column] - squares).sqrt();
        if !(diagonal.is_finite() && diagonal > 0.0) {
            return None;
        }
        lower[column][column] = diagonal;
        for row in column + 1..3 {
            let product = (0..column).fold(0.0, |sum, k| {
                f64::mul_add(lower[row][k], lower[column][k], sum)
            });
            lower[row][column] = (a[row][column] - product) * diagonal.recip();
        }
    }
    Some(lower)
}

/// The orthogonal matrix nearest to `a` (its polar factor); `None` where `a` is singular.
///
/// **Definition**: the limit of `Q ← (Q + Q⁻ᵀ) / 2` from `Q = a`, which converges quadratically for every invertible
/// matrix. A reflection stays a reflection.
///
/// **Source**: N. J. Higham, "Computing the polar decomposition", 1986, eq. 3.1.
pub(crate) fn nearest_orthogonal(a: &Matrix<3>) -> Option<Matrix<3>> {
    let mut q = *a;
    for _ in 0..100 {
        let inverse = solve(&q, &identity())?;
        let mut change = 0.0_f64;
        for row in 0..3 {
            for column in 0..3 {
                let next = 0.5 * (q[row][column] + inverse[column][row]);
                change = change.max((next - q[row][column]).abs());
                q[row][column] = next;
            }
        }
        if change < 1e-15 {
            break;
        }
    }
    q.iter()
        .flatten()
        .all(|value| value.is_finite())
        .then_some(q)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solve_undoes_multiply() {
        let a = [[0.0, 2.0, 1.0], [1.0, 0.5, 0.0], [3.0, 0.0, -1.0]];
        let b = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 10.0]];
        let x = solve(&a, &multiply(&a, &b)).unwrap();
        for (found, expected) in x.iter().flatten().zip(b.iter().flatten()) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{found} is not {expected}"
            );
        }
    }

    #[test]
    fn singular_matrices_have_no_solution() {
        assert_eq!(solve(&[[1.0, 2.0], [2.0, 4.0]], &identity()), None);
        assert_eq!(solve(&[[f64::NAN, 0.0], [0.0, 1.0]], &identity()), None);
        assert_eq!(nearest_orthogonal(&[[0.0; 3]; 3]), None);
        assert_eq!(
            cholesky(&[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
            None
        );
    }

    #[test]
    fn cholesky_factor_squares_to_its_matrix() {
        let a = [[4.0, 2.0, 0.5], [2.0, 5.0, 1.0], [0.5, 1.0, 3.0]];
        let lower = cholesky(&a).unwrap();
        let back = multiply(&lower, &transpose(&lower));
        for (found, expected) in back.iter().flatten().zip(a.iter().flatten()) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{found} is not {expected}"
            );
        }
    }

    #[test]
    fn nearest_orthogonal_of_a_scaled_rotation_is_the_rotation() {
        let (s, c) = 0.4_f64.sin_cos();
        let a = [
            [2.0 * c, -2.0 * s, 0.0],
            [2.0 * s, 2.0 * c, 0.0],
            [0.0, 0.0, -2.0],
        ];
        let q = nearest_orthogonal(&a).unwrap();
        for (found, expected) in q.iter().flatten().zip(a.iter().flatten()) {
            assert!((found - expected / 2.0).abs() < 1e-12);
        }
    }
}
