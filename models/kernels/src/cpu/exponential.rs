//! Exponentials and logarithms that compile to vector instructions.

/// `eˣ` for `x ≤ 0` to two units in the last place, without branches; NaN stays NaN.
///
/// **Source**: the polynomial of Cephes' `expf`.
#[inline(always)]
pub fn exponential(x: f32) -> f32 {
    /// Adding it rounds to a whole number, kept in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    // The logarithm of 2 in two parts, the first short enough for an exact product.
    let r = x - whole * 0.693_359_4 - whole * -2.121_944_4e-4;
    let mut series = 1.987_569_1e-4;
    for coefficient in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        series = series * r + coefficient;
    }
    let power = f32::from_bits(
        rounded
            .to_bits()
            .wrapping_sub(ROUND.to_bits())
            .wrapping_add(127)
            << 23,
    );
    (series * r * r + r + 1.0) * power
}

/// `log(1 + x)` for `0 ≤ x ≤ 1` to three units in the last place, without branches; NaN stays NaN.
///
/// **Definition**: `2 artanh(x / (2 + x))`, by its series, whose argument is at most a third.
#[inline(always)]
pub fn logarithm_of_one_plus(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let q = s * s;
    let mut series = 1.0 / 17.0;
    for denominator in [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        series = series * q + 1.0 / denominator;
    }
    2.0 * (s + s * q * series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_the_librarys() {
        for i in 0..8600 {
            let x = -0.01 * i as f32;
            let expected = x.exp();
            assert!((exponential(x) - expected).abs() <= 3e-7 * expected, "{x}");
        }
        assert_eq!(exponential(0.0), 1.0);
        assert!(exponential(f32::NEG_INFINITY) < 1e-37);
        assert!(exponential(f32::NAN).is_nan());
    }

    #[test]
    fn logarithms_are_the_librarys() {
        for i in 0..=1000 {
            for x in [0.001 * i as f32, 1e-9 * i as f32] {
                let expected = x.ln_1p();
                assert!(
                    (logarithm_of_one_plus(x) - expected).abs() <= 3e-7 * expected,
                    "{x}"
                );
            }
        }
        assert!(logarithm_of_one_plus(f32::NAN).is_nan());
    }
}
