//! Validation of UIDs.

use crate::dicom::error::DicomHeaderError;
use crate::dicom::tag::Tag;

/// Whether a text is a UID (PS3.5 9.1); components with leading zeros are accepted because they occur.
pub(super) fn is_uid(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 64 && text.split('.').all(is_number)
}

/// The error of a text that is not a UID.
pub(super) fn no_uid(tag: Tag) -> DicomHeaderError {
    DicomHeaderError::Malformed {
        tag,
        expected: "a UID",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_no_uids_are_told() {
        for text in ["", "1..2", "1.a", "1.2.", &"1".repeat(65)] {
            assert!(!is_uid(text), "{text}");
        }
        assert!(is_uid("1.2.840.0.10008"));
    }
}
