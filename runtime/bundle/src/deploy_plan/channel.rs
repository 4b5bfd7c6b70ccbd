//! Channels, and the series of a study that they are read from.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::pattern;

/// Largest number of patterns of a channel.
pub const MAX_PATTERNS: usize = 32;
/// Longest pattern in characters, as long as a description may be in DICOM.
pub const MAX_PATTERN_CHARACTERS: usize = 64;

/// One input component of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Name, unique within the plan: `image` for single-channel tasks.
    pub name: String,
    pub modality: Modality,
    /// Patterns of series descriptions; none: any series of the modality.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series_descriptions: Vec<String>,
}

/// Imaging modality of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Computed tomography, Hounsfield units.
    Ct,
    /// Magnetic resonance, arbitrary units.
    Mri,
    /// Positron emission tomography, activity or uptake.
    Pet,
}

/// Why a channel's patterns of series descriptions cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// Too many of them.
    #[error(
        "channel `{channel}` has {found} patterns of series descriptions, expected at most {MAX_PATTERNS}"
    )]
    Count {
        /// Name of the channel.
        channel: String,
        /// How many there are.
        found: usize,
    },
    /// Blank, or longer than any description.
    #[error(
        "channel `{channel}` has a pattern of series descriptions of {found} characters at position {position}, expected 1 to {MAX_PATTERN_CHARACTERS}"
    )]
    Length {
        /// Name of the channel.
        channel: String,
        /// Position of the pattern, from 0.
        position: usize,
        /// Its length in characters; 0 for blanks alone.
        found: usize,
    },
    /// Line breaks, escapes and the like.
    #[error(
        "channel `{channel}` has the pattern {pattern:?} of series descriptions, expected no control characters"
    )]
    Control {
        /// Name of the channel.
        channel: String,
        pattern: String,
    },
}

impl PatternError {
    pub fn hint(&self) -> &'static str {
        "`*` stands for any run of characters: `*t1*` takes every description that has `t1` in it; without patterns any \
         series of the modality is taken"
    }
}

impl Modality {
    /// Its name in DICOM.
    ///
    /// **Source**: PS3.3 C.7.3.1.1.1, Modality (0008,0060).
    pub fn in_dicom(self) -> &'static str {
        match self {
            Self::Ct => "CT",
            Self::Mri => "MR",
            Self::Pet => "PT",
        }
    }
}

impl Channel {
    /// A channel that takes any series of its modality.
    pub fn new(name: impl Into<String>, modality: Modality) -> Self {
        Self {
            name: name.into(),
            modality,
            series_descriptions: Vec::new(),
        }
    }

    /// Whether a series of this DICOM modality and description may be read as this channel.
    ///
    /// **Definition**: the modality is the channel's, and the description fits any of the patterns where given. In a
    /// pattern `*` is any run of characters, an empty one too, and everything else itself; ASCII letters fit in either
    /// case, and blanks around pattern and description do not count. A missing description counts as empty.
    ///
    /// ```
    /// use vesal_bundle::deploy_plan::{Channel, Modality};
    ///
    /// let mut channel = Channel::new("t1", Modality::Mri);
    /// assert!(channel.takes("MR", None) && !channel.takes("CT", None));
    /// channel.series_descriptions = vec!["*t1*ce*".into(), "mprage".into()];
    /// assert!(channel.takes("MR", Some("AX T1 fs CE")));
    /// assert!(channel.takes("MR", Some("MPRAGE ")));
    /// assert!(!channel.takes("MR", Some("AX CE T1")));
    /// ```
    pub fn takes(&self, modality: &str, description: Option<&str>) -> bool {
        let description = description.unwrap_or_default();
        let patterns = &self.series_descriptions;
        modality.trim() == self.modality.in_dicom()
            && (patterns.is_empty()
                || patterns
                    .iter()
                    .any(|pattern| pattern::fits(pattern, description)))
    }

    /// Checks the rules of patterns that the types do not express.
    pub(crate) fn check_patterns(channel: &str, patterns: &[String]) -> Result<(), PatternError> {
        let channel = || channel.to_owned();
        if patterns.len() > MAX_PATTERNS {
            return Err(PatternError::Count {
                channel: channel(),
                found: patterns.len(),
            });
        }
        for (position, pattern) in patterns.iter().enumerate() {
            let found = match pattern.trim() {
                "" => 0,
                _ => pattern.chars().count(),
            };
            if !(1..=MAX_PATTERN_CHARACTERS).contains(&found) {
                return Err(PatternError::Length {
                    channel: channel(),
                    position,
                    found,
                });
            }
            if pattern.chars().any(char::is_control) {
                return Err(PatternError::Control {
                    channel: channel(),
                    pattern: pattern.clone(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_takes_series_of_its_modality_that_fit_any_pattern() {
        let mut channel = Channel::new("pet", Modality::Pet);
        assert!(channel.takes("PT", Some("WB")) && channel.takes("PT ", None));
        assert!(!channel.takes("PET", None) && !channel.takes("", None));
        channel.series_descriptions = vec!["wb".into(), "*corrected*".into()];
        assert!(channel.takes("PT", Some("WB")));
        assert!(channel.takes("PT", Some("PET Corrected 3 min")));
        assert!(!channel.takes("PT", Some("PET")) && !channel.takes("PT", None));
        assert!(!channel.takes("CT", Some("WB")));
        channel.series_descriptions.push("*".into());
        assert!(channel.takes("PT", None), "no description is an empty one");
    }
}
