//! Coded concepts.

use std::borrow::Cow;

use crate::dicom::write::error::Unwritable;

/// A concept by its code in a coding scheme.
///
/// **Source**: PS3.3 section 8.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Code {
    /// The code, such as `5366008`.
    pub value: Cow<'static, str>,
    /// The scheme, such as `SCT` for SNOMED CT or `DCM` for DICOM.
    pub scheme: Cow<'static, str>,
    /// The meaning in words.
    pub meaning: Cow<'static, str>,
}

impl Code {
    /// A concept of SNOMED CT.
    pub const fn snomed(value: &'static str, meaning: &'static str) -> Self {
        Self::fixed(value, "SCT", meaning)
    }

    pub(super) const fn dicom(value: &'static str, meaning: &'static str) -> Self {
        Self::fixed(value, "DCM", meaning)
    }

    pub(super) const fn fixed(
        value: &'static str,
        scheme: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            value: Cow::Borrowed(value),
            scheme: Cow::Borrowed(scheme),
            meaning: Cow::Borrowed(meaning),
        }
    }

    pub(super) fn check(&self) -> Result<(), Unwritable> {
        check_text("code", &self.value, 64)?;
        check_text("coding scheme", &self.scheme, 16)?;
        check_text("code meaning", &self.meaning, 64)
    }
}

/// Checks a text of an attribute.
pub(super) fn check_text(what: &'static str, text: &str, limit: usize) -> Result<(), Unwritable> {
    let fits = !text.trim().is_empty()
        && text.chars().count() <= limit
        && !text.contains(|c: char| c == '\\' || c.is_control());
    if fits {
        Ok(())
    } else {
        Err(Unwritable::Text {
            what,
            text: text.to_owned(),
            limit,
        })
    }
}

pub(super) const ARTIFICIAL_INTELLIGENCE: Code = Code::dicom("123110", "Artificial Intelligence");
pub(super) const BACKGROUND: Code = Code::dicom("125040", "Background");
pub(super) const SEGMENTATION: Code = Code::dicom("113076", "Segmentation");
pub(super) const SOURCE_IMAGE: Code =
    Code::dicom("121322", "Source image for image processing operation");
pub(super) const ACQUISITION_EQUIPMENT: Code = Code::dicom("109101", "Acquisition Equipment");
pub(super) const PROCESSING_EQUIPMENT: Code = Code::dicom("109102", "Processing Equipment");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_at_their_limit() {
        assert_eq!(check_text("name", "left kidney", 64), Ok(()));
        assert_eq!(check_text("name", &"é".repeat(64), 64), Ok(()));
        for text in ["", "  ", "a\\b", "a\nb", &"x".repeat(65)] {
            assert!(
                matches!(
                    check_text("name", text, 64),
                    Err(Unwritable::Text { limit: 64, .. })
                ),
                "{text}"
            );
        }
    }
}
