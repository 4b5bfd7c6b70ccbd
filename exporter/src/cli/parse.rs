//! Values of flags.

/// Three sizes in voxels.
pub(super) fn sizes(text: &str) -> Result<[usize; 3], String> {
    let sizes = list::<usize, 3>(text, "three whole numbers, as in 96,96,96")?;
    if sizes.contains(&0) {
        Err("expected at least 1 voxel on every axis".into())
    } else {
        Ok(sizes)
    }
}

/// Three spacings in mm.
pub(super) fn spacing(text: &str) -> Result<[f64; 3], String> {
    let spacing = list::<f64, 3>(text, "three numbers, as in 1.5,1.5,2")?;
    if spacing.iter().all(|mm| mm.is_finite() && *mm > 0.) {
        Ok(spacing)
    } else {
        Err("expected positive numbers".into())
    }
}

/// One fraction for all axes, or three.
pub(super) fn overlap(text: &str) -> Result<[f64; 3], String> {
    let expected = "one number or three, as in 0.625";
    let overlap = match list::<f64, 1>(text, expected) {
        Ok([one]) => [one; 3],
        Err(_) => list(text, expected)?,
    };
    if overlap.iter().all(|fraction| (0. ..1.).contains(fraction)) {
        Ok(overlap)
    } else {
        Err("expected 0 or more and less than 1".into())
    }
}

/// Two intensities in ascending order.
pub(super) fn bounds(text: &str) -> Result<[f32; 2], String> {
    let [low, high] = list::<f32, 2>(text, "two numbers, as in -200,300")?;
    if low.is_finite() && high.is_finite() && low < high {
        Ok([low, high])
    } else {
        Err("expected finite numbers, the lower one first".into())
    }
}

fn list<T: std::str::FromStr, const N: usize>(
    text: &str,
    expected: &str,
) -> Result<[T; N], String> {
    let values = text
        .split(',')
        .map(|value| value.trim().parse().ok())
        .collect::<Option<Vec<T>>>();
    values
        .and_then(|values| values.try_into().ok())
        .ok_or_else(|| format!("expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_their_length_and_range() {
        assert_eq!(sizes("96, 96,64"), Ok([96, 96, 64]));
        assert_eq!(overlap("0.5"), Ok([0.5; 3]));
        assert_eq!(overlap("0.5,0,0.25"), Ok([0.5, 0., 0.25]));
        assert_eq!(bounds("-200,300"), Ok([-200., 300.]));
        for broken in ["", "1,2", "1,2,3,4", "a,b,c", "0,1,1"] {
            assert!(sizes(broken).is_err(), "{broken}");
        }
        assert!(overlap("1").is_err());
        assert!(spacing("1,1,-1").is_err());
        assert!(spacing("1,1,nan").is_err());
        assert!(bounds("300,-200").is_err());
    }
}
