//! Patterns of names and descriptions.

/// Whether a text fits a pattern; takes time in proportion to the product of their lengths at most.
///
/// **Definition**: `*` is any run of characters, an empty one too, and everything else itself; ASCII letters fit in
/// either case, and blanks around both do not count.
pub fn fits(pattern: &str, text: &str) -> bool {
    let pattern = pattern.trim().to_ascii_lowercase();
    let text = text.trim().to_ascii_lowercase();
    let Some((first, others)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let (between, last) = others.rsplit_once('*').unwrap_or(("", others));
    let inner = text
        .strip_prefix(first)
        .and_then(|rest| rest.strip_suffix(last));
    // Matching each part at its first occurrence leaves the most text for the next.
    let rest = inner.and_then(|inner| {
        between.split('*').try_fold(inner, |rest, part| {
            rest.split_once(part).map(|(_, behind)| behind)
        })
    });
    rest.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, description) in [
            ("*", ""),
            ("*", "anything"),
            ("t1*", "t1"),
            ("t1*", "T1 axial"),
            ("*t1", "axial t1"),
            ("a*a", "aa"),
            ("a*b*c", "a b b c c"),
            ("**t1**", "xt1x"),
            ("a*ab", "aab"),
            ("*ab*ab", "abxab"),
            ("T2?", "t2?"),
            (" t1 ", "T1  "),
            ("*schädel*", "CT Schädel nativ"),
        ] {
            assert!(fits(pattern, description), "{pattern} {description}");
        }
        for (pattern, description) in [
            ("t1", "t1 axial"),
            ("t1*", "at1"),
            ("*t1", "t1a"),
            ("a*a", "a"),
            ("ab*ba", "aba"),
            ("*ab*ab", "ab"),
            ("a*b*c", "a c b"),
            ("T2?", "t2w"),
            ("*t1*", ""),
            ("[ab]", "a"),
        ] {
            assert!(!fits(pattern, description), "{pattern} {description}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_does_not_try_every_place() {
        let pattern = "a*".repeat(31) + "b";
        assert!(!fits(&pattern, &"a".repeat(100_000)));
    }
}
