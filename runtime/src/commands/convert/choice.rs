//! Which structures make which label.

use std::str::FromStr;

/// A pattern of names and the label that structures of such names make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StructureChoice {
    /// The pattern.
    pub pattern: String,
    /// The value of the label, at most 255.
    pub value: u16,
}

impl FromStr for StructureChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a name and a value from 1 to 255, such as GTV*=1";
        let (pattern, value) = text.rsplit_once('=').ok_or(EXPECTED)?;
        match value.trim().parse() {
            Ok(value @ 1..=255) if !pattern.trim().is_empty() => Ok(Self {
                pattern: pattern.trim().to_owned(),
                value,
            }),
            _ => Err(EXPECTED),
        }
    }
}

impl StructureChoice {
    /// Whether a name is of the pattern: `*` is any run of characters, also none; ASCII case does not count.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (lower(&self.pattern), lower(name.trim()));
        let parts: Vec<&str> = pattern.split('*').collect();
        let (first, last) = (parts[0], parts[parts.len() - 1]);
        let Some(rest) = name.strip_prefix(first) else {
            return false;
        };
        if parts.len() == 1 {
            return rest.is_empty();
        }
        let Some(mut rest) = rest.strip_suffix(last) else {
            return false;
        };
        // What stands between stars is found as early as possible, which leaves most for what follows.
        parts[1..parts.len() - 1]
            .iter()
            .all(|part| match rest.split_once(part) {
                Some((_, after)) => {
                    rest = after;
                    true
                }
                None => false,
            })
    }
}

fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_runs_of_characters() {
        let matches = |pattern: &str, name: &str| {
            let choice: StructureChoice = format!("{pattern}=1").parse().unwrap();
            choice.matches(name)
        };
        for (pattern, name) in [
            ("GTV", "gtv"),
            ("gtv*", "GTV"),
            ("gtv*", "GTV_Mass_CT"),
            ("*mass*", "GTV_Mass_CT"),
            ("*", ""),
            ("g*_*t", "GTV_Mass_CT"),
            ("a=b*", "A=b c"),
            ("*ab*ab", "abab"),
            ("a**b", "ab"),
            ("GTV", " gtv "),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("gtv", "gtv1"),
            ("*gtv", "gtv1"),
            ("ab*ba", "aba"),
            ("*ab*ab", "ab"),
            ("g*x*t", "GTV_Mass_CT"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn values_are_labels() {
        for text in ["GTV", "=1", "GTV=", "GTV=0", "GTV=256", "GTV=x", " =3"] {
            assert!(text.parse::<StructureChoice>().is_err(), "{text}");
        }
    }
}
