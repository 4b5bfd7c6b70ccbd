//! Names of tasks, channels and labels.

use thiserror::Error;

/// Longest name in characters.
pub const MAX_CHARACTERS: usize = 120;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    #[error("a name is empty")]
    Empty,
    /// Longer than [`MAX_CHARACTERS`].
    #[error("a name has {found} characters, at most {MAX_CHARACTERS} are allowed")]
    TooLong {
        /// Its length in characters.
        found: usize,
    },
    /// Line breaks, escapes and the like.
    #[error("the name {name:?} has a control character")]
    Control { name: String },
    /// White space at an end, which is invisible.
    #[error("the name {name:?} begins or ends with white space")]
    Padded { name: String },
}

/// Checks that a name is neither empty nor too long, has no white space at its ends and no control characters.
///
/// **Errors**: the first rule that the name breaks.
pub fn check(name: &str) -> Result<(), NameError> {
    let characters = name.chars().count();
    if name.is_empty() {
        Err(NameError::Empty)
    } else if characters > MAX_CHARACTERS {
        Err(NameError::TooLong { found: characters })
    } else if name.chars().any(char::is_control) {
        Err(NameError::Control { name: name.into() })
    } else if name.trim() != name {
        Err(NameError::Padded { name: name.into() })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_visible_and_unpadded() {
        assert_eq!(check("left hippocampus (anterior)"), Ok(()));
        assert_eq!(check("Milz"), Ok(()));
        assert_eq!(check(""), Err(NameError::Empty));
        assert_eq!(
            check(&"x".repeat(121)),
            Err(NameError::TooLong { found: 121 })
        );
        assert!(matches!(
            check("a\u{1b}[31m"),
            Err(NameError::Control { .. })
        ));
        assert!(matches!(check("a "), Err(NameError::Padded { .. })));
    }
}
