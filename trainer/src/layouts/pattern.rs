//! Patterns of file names.

use std::convert::Infallible;
use std::str::FromStr;

/// A pattern of file names: `*` stands for any characters, and case is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

impl FromStr for NamePattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_lowercase()))
    }
}

impl NamePattern {
    /// Whether the whole name follows the pattern.
    pub fn fits(&self, name: &str) -> bool {
        self.stars(&name.to_lowercase()).is_some()
    }

    /// What the first star that stands for anything stands for, without separators at its ends.
    pub(super) fn starred(&self, name: &str) -> Option<String> {
        let lower = name.to_lowercase();
        // Lower case may have other lengths in some scripts.
        let name = if lower.len() == name.len() {
            name
        } else {
            &lower
        };
        let stars = self.stars(&lower)?;
        let separators = ['_', '-', '.', ' '];
        let text = |(start, end): (usize, usize)| name.get(start..end);
        let mut texts = stars.into_iter().filter_map(text);
        let found = texts.find(|text| !text.is_empty())?;
        Some(found.trim_matches(separators).to_owned())
    }

    /// Start and end of what each star stands for.
    fn stars(&self, name: &str) -> Option<Vec<(usize, usize)>> {
        let mut parts = self.0.split('*');
        let mut at = parts.next().filter(|first| name.starts_with(first))?.len();
        let parts: Vec<&str> = parts.collect();
        let Some((last, inner)) = parts.split_last() else {
            return (at == name.len()).then(Vec::new);
        };
        let mut stars = Vec::new();
        for part in inner {
            let found = at + name[at..].find(part)?;
            stars.push((at, found));
            at = found + part.len();
        }
        let end = name
            .len()
            .checked_sub(last.len())
            .filter(|end| *end >= at)?;
        name.ends_with(last).then(|| {
            stars.push((at, end));
            stars
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        let fits = |pattern: &str, name: &str| {
            let Ok(pattern) = pattern.parse::<NamePattern>();
            pattern.fits(name)
        };
        assert!(fits("*_seg.nii*", "a_SEG.nii.gz"));
        assert!(fits("a", "A") && !fits("a", "ab"));
        assert!(fits("*", "") && fits("a*a", "aa"));
        assert!(!fits("a*a", "a") && !fits("*x*y", "y-x"));
    }
}
