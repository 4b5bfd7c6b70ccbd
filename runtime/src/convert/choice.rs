//! Labels of structures by name patterns.

use std::str::FromStr;

use vesal_bundle::pattern;

/// A name pattern, and the label of structures with such names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StructureChoice {
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
    /// Whether a name fits the pattern: `*` is any run of characters, also none; ASCII case is ignored.
    pub fn matches(&self, name: &str) -> bool {
        pattern::fits(&self.pattern, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_last_sign_is_the_value() {
        let choice: StructureChoice = "a=b*=7".parse().unwrap();
        assert_eq!((choice.pattern.as_str(), choice.value), ("a=b*", 7));
        assert!(choice.matches("A=B c") && !choice.matches("b c"));
    }

    #[test]
    fn values_are_labels() {
        for text in ["GTV", "=1", "GTV=", "GTV=0", "GTV=256", "GTV=x", " =3"] {
            assert!(text.parse::<StructureChoice>().is_err(), "{text}");
        }
    }
}
