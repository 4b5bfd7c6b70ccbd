//! Rules that several parts of a manifest share.

use vesal_files::digest;

use super::error::ManifestError;
use super::limits::MAX_VERSION_CHARACTERS;

/// Checks that a text is a version: ASCII letters, digits, `.`, `+`, `-` and `_`.
///
/// **Errors**: [`ManifestError::Version`].
pub fn check_version(found: &str) -> Result<(), ManifestError> {
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_".contains(&byte);
    if (1..=MAX_VERSION_CHARACTERS).contains(&found.len()) && found.bytes().all(lawful) {
        Ok(())
    } else {
        Err(ManifestError::Version {
            found: found.chars().take(80).collect(),
        })
    }
}

pub(super) fn count(
    of: &'static str,
    found: usize,
    least: usize,
    most: usize,
) -> Result<(), ManifestError> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(ManifestError::Count {
            of,
            found,
            least,
            most,
        })
    }
}

pub(super) fn digest_form(of: impl FnOnce() -> String, found: &str) -> Result<(), ManifestError> {
    if digest::is_digest(found) {
        Ok(())
    } else {
        Err(ManifestError::DigestForm {
            of: of(),
            found: found.chars().take(80).collect(),
        })
    }
}
