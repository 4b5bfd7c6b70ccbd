//! The exponential function as straight-line arithmetic, so that loops over it vectorize.

/// Computes `e^x`, within one unit in the last place of the exact value.
///
/// **Definition**: `2^n (1 + r + r² p(r))` with `x = n ln 2 + r`; `p` is the polynomial of degree 4 with the least
/// relative error, 3e-9. It never decreases as `x` grows, for any two numbers in single precision, so that the order of
/// values is kept. NaN stays NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Adding it rounds to an integer, which the low bits of the sum then hold.
    const ROUNDING: f32 = 12_582_912.0;
    /// The logarithm of 2 in two parts; multiples of the first are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Beyond, the result is infinite or 0. Not `clamp`, which is slower, nor `min`, which drops NaN.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUNDING;
    let n = rounded - ROUNDING;
    let r = x - n * LN_2[0] - n * LN_2[1];
    let square = r * r;
    let high = 1.381_446_6e-3 * square + (8.368_781e-3 * r + 4.166_839_3e-2);
    let p = high * square + (1.666_652e-1 * r + 0.5);
    let power = p * square + r + 1.0;
    // Two factors: 2^n itself may lie beyond single precision where the result does not.
    let n = (rounded.to_bits() as i32).wrapping_sub(ROUNDING.to_bits() as i32);
    let half = n >> 1;
    let two_to = |n: i32| f32::from_bits((n.wrapping_add(127) << 23) as u32);
    power * two_to(half) * two_to(n - half)
}

/// Computes `e^x` in double precision, for `x` from -700 to 700, within a relative error of 1e-9.
#[inline(always)]
pub(crate) fn exp_f64(x: f64) -> f64 {
    /// Adding it rounds to an integer, which the low bits of the sum then hold.
    const ROUNDING: f64 = 6_755_399_441_055_744.0;
    let rounded = x * std::f64::consts::LOG2_E + ROUNDING;
    let r = x - (rounded - ROUNDING) * std::f64::consts::LN_2;
    let square = r * r;
    let high = ((1.0 / 40_320.0) * r + 1.0 / 5_040.0) * square + ((1.0 / 720.0) * r + 1.0 / 120.0);
    let p = ((1.0 / 24.0) * r + 1.0 / 6.0) + high * square;
    let power = 1.0 + (r + square * (0.5 + r * p));
    power * f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_exact_to_one_unit_and_never_decreases() {
        // Every 97th number from -110 to 110; testing all of them takes half a minute.
        let (mut last, mut largest) = (0.0, 0);
        let negative = (0..=110.0_f32.to_bits()).rev().map(|bits| bits | 1 << 31);
        for bits in negative.chain(0..=110.0_f32.to_bits()).step_by(97) {
            let x = f32::from_bits(bits);
            let found = exp(x);
            let exact = f64::from(x).exp() as f32;
            largest = largest.max(found.to_bits().abs_diff(exact.to_bits()));
            assert!(found >= last, "exp({x}) = {found} < {last}");
            last = found;
        }
        assert_eq!(largest, 1);
    }

    #[test]
    fn limits_are_kept() {
        assert!(exp(f32::NAN).is_nan());
        let found = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30].map(exp);
        assert_eq!(found, [1.0, 1.0, f32::INFINITY, 0.0, f32::INFINITY, 0.0]);
        assert!(exp(-103.0) > 0.0 && exp(88.7) < f32::INFINITY);
    }

    #[test]
    fn the_wide_one_is_exact_to_a_billionth() {
        for step in -70_000..=70_000 {
            let x = f64::from(step) / 100.0;
            assert!((exp_f64(x) / x.exp() - 1.0).abs() < 1e-9, "{x}");
        }
    }
}
