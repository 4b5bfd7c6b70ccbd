//! DICOM codes of labels.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest code in characters.
pub const MAX_VALUE_CHARACTERS: usize = 64;
/// Longest name of a coding scheme in characters.
pub const MAX_SCHEME_CHARACTERS: usize = 16;
/// Longest meaning in characters.
pub const MAX_MEANING_CHARACTERS: usize = 64;

/// The meaning of a label, as a DICOM segment states it.
///
/// **Source**: PS3.3 C.8.20.4: segmented property category, type and type modifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelCode {
    /// Category: an anatomical structure, a morphologically altered structure, a substance.
    pub category: Concept,
    #[serde(rename = "type")]
    pub kind: Concept,
    /// Its side, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modifier: Option<Concept>,
    /// Color for display in sRGB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<[u8; 3]>,
}

/// One entry of a coding scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concept {
    /// The code, such as `10200004`.
    pub value: String,
    /// The scheme, such as `SCT` for SNOMED CT.
    pub scheme: String,
    /// The meaning in words, such as `Liver`.
    pub meaning: String,
}

/// Why the code of a label cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CodeError {
    /// Background has a code.
    #[error("label `{label}` is background and has a code, expected none")]
    Background {
        /// Name of the label.
        label: String,
    },
    /// A text is empty or longer than DICOM allows.
    #[error(
        "`{part}.{field}` of the code of label `{label}` has {found} characters, expected 1 to {most}"
    )]
    Length {
        /// Name of the label.
        label: String,
        /// `category`, `type` or `modifier`.
        part: &'static str,
        /// `value`, `scheme` or `meaning`.
        field: &'static str,
        /// Its length in characters.
        found: usize,
        /// In characters.
        most: usize,
    },
    /// A text has a character outside of printable ASCII, or blanks at an end.
    #[error(
        "`{part}.{field}` of the code of label `{label}` is {found:?}, expected printable ASCII without backslash and without blanks at its ends"
    )]
    Character {
        /// Name of the label.
        label: String,
        /// `category`, `type` or `modifier`.
        part: &'static str,
        /// `value`, `scheme` or `meaning`.
        field: &'static str,
        found: String,
    },
}

impl CodeError {
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Background { .. } => "leave its code out: background is not written as a segment",
            Self::Length { .. } | Self::Character { .. } => {
                r#"a concept is written like {"value": "10200004", "scheme": "SCT", "meaning": "Liver"}"#
            }
        }
    }
}

impl LabelCode {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self, label: &str) -> Result<(), CodeError> {
        let parts = [
            ("category", Some(&self.category)),
            ("type", Some(&self.kind)),
            ("modifier", self.modifier.as_ref()),
        ];
        for (part, concept) in parts {
            let Some(Concept {
                value,
                scheme,
                meaning,
            }) = concept
            else {
                continue;
            };
            for (field, text, most) in [
                ("value", value, MAX_VALUE_CHARACTERS),
                ("scheme", scheme, MAX_SCHEME_CHARACTERS),
                ("meaning", meaning, MAX_MEANING_CHARACTERS),
            ] {
                let label = || label.to_owned();
                let found = text.chars().count();
                if !(1..=most).contains(&found) {
                    return Err(CodeError::Length {
                        label: label(),
                        part,
                        field,
                        found,
                        most,
                    });
                }
                let printable = |c: char| matches!(c, ' '..='~') && c != '\\';
                if text.trim() != text || !text.chars().all(printable) {
                    return Err(CodeError::Character {
                        label: label(),
                        part,
                        field,
                        found: text.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}
