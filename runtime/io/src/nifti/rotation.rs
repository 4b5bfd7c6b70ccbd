//! Rotations as matrices and as quaternions.

/// The determinant of a 3×3 matrix.
pub(super) fn determinant(m: &[[f64; 3]; 3]) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

/// The rotation of a quaternion w, x, y, z of any length but zero.
pub(super) fn rotation([w, x, y, z]: [f64; 4]) -> [[f64; 3]; 3] {
    let s = 2.0 / (w * w + x * x + y * y + z * z);
    [
        [
            1.0 - s * (y * y + z * z),
            s * (x * y - w * z),
            s * (x * z + w * y),
        ],
        [
            s * (x * y + w * z),
            1.0 - s * (x * x + z * z),
            s * (y * z - w * x),
        ],
        [
            s * (x * z - w * y),
            s * (y * z + w * x),
            1.0 - s * (x * x + y * y),
        ],
    ]
}

/// The rotation nearest to a matrix of positive determinant: the orthogonal factor of its polar decomposition.
///
/// **Source**: N. J. Higham 1986, Newton's iteration X ← (X + X⁻ᵀ) / 2.
pub(super) fn nearest_rotation(mut matrix: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    for _ in 0..100 {
        let scale = determinant(&matrix);
        let mut step = 0.0_f64;
        let cofactor = |row: usize, column: usize| {
            let (r1, r2) = ((row + 1) % 3, (row + 2) % 3);
            let (c1, c2) = ((column + 1) % 3, (column + 2) % 3);
            matrix[r1][c1] * matrix[r2][c2] - matrix[r1][c2] * matrix[r2][c1]
        };
        let next: [[f64; 3]; 3] = std::array::from_fn(|row| {
            std::array::from_fn(|column| {
                (matrix[row][column] + cofactor(row, column) / scale) / 2.0
            })
        });
        for (new, old) in next.iter().flatten().zip(matrix.iter().flatten()) {
            step = step.max((new - old).abs());
        }
        matrix = next;
        if step < 1e-15 {
            break;
        }
    }
    matrix
}

/// The quaternion w, x, y, z of a rotation.
///
/// **Source**: S. W. Shepperd 1978: divides by the largest of the four parts.
pub(super) fn quaternion(m: &[[f64; 3]; 3]) -> [f64; 4] {
    let trace = m[0][0] + m[1][1] + m[2][2];
    if trace > m[0][0].max(m[1][1]).max(m[2][2]) {
        let s = 2.0 * (1.0 + trace).sqrt();
        return [
            s / 4.0,
            (m[2][1] - m[1][2]) / s,
            (m[0][2] - m[2][0]) / s,
            (m[1][0] - m[0][1]) / s,
        ];
    }
    let i = (0..3).fold(0, |best, axis| {
        if m[axis][axis] > m[best][best] {
            axis
        } else {
            best
        }
    });
    let (j, k) = ((i + 1) % 3, (i + 2) % 3);
    let s = 2.0 * (1.0 + m[i][i] - m[j][j] - m[k][k]).sqrt();
    let mut parts = [(m[k][j] - m[j][k]) / s, 0.0, 0.0, 0.0];
    parts[1 + i] = s / 4.0;
    parts[1 + j] = (m[j][i] + m[i][j]) / s;
    parts[1 + k] = (m[k][i] + m[i][k]) / s;
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quaternion_survives_its_rotation() {
        // Each of the four parts is the largest once.
        for part in 0..4 {
            let mut parts = [0.1, -0.3, 0.2, 0.4];
            parts[part] = 0.9;
            let length = parts.iter().map(|part| part * part).sum::<f64>().sqrt();
            let matrix = rotation(parts);
            assert!((determinant(&matrix) - 1.0).abs() < 1e-12);
            let found = quaternion(&matrix);
            let sign = (found[0] * parts[0]).signum();
            for (found, expected) in found.iter().zip(parts) {
                assert!(
                    (sign * found - expected / length).abs() < 1e-12,
                    "{found} {expected}"
                );
            }
        }
    }

    #[test]
    fn the_nearest_rotation_is_orthogonal_and_a_rotation_is_its_own() {
        let turned = rotation([0.2, 0.4, -0.7, 0.1]);
        let mut sheared = turned;
        sheared[0][1] += 0.3;
        for (matrix, distance) in [(turned, 1e-14), (sheared, 0.3)] {
            let nearest = nearest_rotation(matrix);
            for row in 0..3 {
                for other in 0..3 {
                    let product: f64 = (0..3).map(|k| nearest[row][k] * nearest[other][k]).sum();
                    assert!((product - f64::from(u8::from(row == other))).abs() < 1e-14);
                }
            }
            let apart = |at: usize| (nearest[at / 3][at % 3] - matrix[at / 3][at % 3]).abs();
            assert!((0..9).all(|at| apart(at) <= distance));
        }
    }
}
