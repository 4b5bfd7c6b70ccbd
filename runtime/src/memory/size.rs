//! Sizes on the command line.

/// Reads a size: a number with `K`, `M`, `G` or `T` (powers of 1024), or bytes.
pub fn parse_size(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str = "expected a size such as 1500M or 4G";
    let text = text
        .trim()
        .trim_end_matches(['B', 'b'])
        .trim_end_matches('i');
    let (number, shift) = match text.char_indices().last() {
        Some((end, unit)) if unit.is_ascii_alphabetic() => {
            let shift = match unit.to_ascii_uppercase() {
                'K' => 10,
                'M' => 20,
                'G' => 30,
                'T' => 40,
                _ => return Err(EXPECTED),
            };
            (&text[..end], shift)
        }
        _ => (text, 0),
    };
    let number: f64 = number.trim().parse().map_err(|_| EXPECTED)?;
    let bytes = number * (1_u64 << shift) as f64;
    if bytes.is_finite() && bytes >= 1.0 && bytes < u64::MAX as f64 {
        Ok(bytes as u64)
    } else {
        Err(EXPECTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size("4G"), Ok(4 << 30));
        assert_eq!(parse_size("1.5 GiB"), Ok(3 << 29));
        assert_eq!(parse_size("1500m"), Ok(1500 << 20));
        assert_eq!(parse_size("12345"), Ok(12345));
        for text in ["", "G", "-1G", "0", "4X", "nan", "inf"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
