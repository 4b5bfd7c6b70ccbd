//! Paths inside a bundle: relative, with forward slashes, the same on every system.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Longest path in bytes.
pub const MAX_BYTES: usize = 200;

/// Why a text is not a path inside a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the path {path:?} {rule}")]
pub struct PathError {
    /// The path as found.
    pub path: String,
    /// The rule that it breaks.
    pub rule: PathRule,
}

/// The rules of paths inside a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathRule {
    /// Not empty.
    #[error("is empty")]
    Empty,
    /// At most [`MAX_BYTES`].
    #[error("is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("is absolute, expected one relative to the bundle")]
    Absolute,
    /// Neither `.` nor `..`.
    #[error("has a component `.` or `..`, expected one that stays inside the bundle")]
    Climbs,
    /// No `//`, and no slash at the end.
    #[error("has an empty component")]
    EmptyComponent,
    /// ASCII letters, digits, `.`, `_` and `-`: no backslashes, colons, spaces or control characters.
    #[error(
        "has a character other than ASCII letters, digits, `.`, `_`, `-` and the separator `/`"
    )]
    Character,
    /// No dot at the end of a component, which some systems drop.
    #[error("has a component that ends with a dot")]
    TrailingDot,
    /// No device name of some system, such as `CON` or `NUL`.
    #[error("has a component that names a device on some systems")]
    Device,
}

/// Checks a path inside a bundle.
///
/// **Errors**: the first [`PathRule`] that it breaks.
pub fn check(path: &str) -> Result<(), PathError> {
    let broken = |rule| {
        Err(PathError {
            path: path.chars().take(MAX_BYTES).collect(),
            rule,
        })
    };
    if path.is_empty() {
        return broken(PathRule::Empty);
    }
    if path.len() > MAX_BYTES {
        return broken(PathRule::TooLong);
    }
    if path.starts_with('/') {
        return broken(PathRule::Absolute);
    }
    for component in path.split('/') {
        if component.is_empty() {
            return broken(PathRule::EmptyComponent);
        }
        if component == "." || component == ".." {
            return broken(PathRule::Climbs);
        }
        if !component
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        {
            return broken(PathRule::Character);
        }
        if component.ends_with('.') {
            return broken(PathRule::TrailingDot);
        }
        if is_device(component) {
            return broken(PathRule::Device);
        }
    }
    Ok(())
}

/// Joins a checked path to the directory of the bundle.
///
/// **Errors**: see [`check`].
pub fn join(directory: &Path, path: &str) -> Result<PathBuf, PathError> {
    check(path)?;
    Ok(path
        .split('/')
        .fold(directory.to_path_buf(), |joined, component| {
            joined.join(component)
        }))
}

fn is_device(component: &str) -> bool {
    let stem = component
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" => true,
        _ => stem
            .strip_prefix("COM")
            .or_else(|| stem.strip_prefix("LPT"))
            .is_some_and(|number| {
                number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_digit())
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str) -> Option<PathRule> {
        check(path).err().map(|error| error.rule)
    }

    #[test]
    fn plain_relative_paths_are_accepted() {
        for path in [
            "a",
            "members/fold-0.onnx",
            "deploy_plan.json",
            ".hidden",
            "a..b",
            "console.txt",
        ] {
            assert_eq!(rule(path), None, "{path}");
        }
    }

    #[test]
    fn path_traversal_is_rejected() {
        for path in [
            "..",
            "../weights.onnx",
            "members/../../weights.onnx",
            "./a",
            "a/.",
        ] {
            assert_eq!(rule(path), Some(PathRule::Climbs), "{path}");
        }
    }

    #[test]
    fn absolute_paths_are_rejected() {
        assert_eq!(rule("/etc/passwd"), Some(PathRule::Absolute));
        assert_eq!(rule("//server/share"), Some(PathRule::Absolute));
    }

    #[test]
    fn external_names_are_rejected() {
        for path in [
            "C:\\a",
            "C:a",
            "a\\b",
            "\\\\server\\a",
            "file:a",
            "a b",
            "a\u{0}",
            "ä",
            "a\n",
        ] {
            assert_eq!(rule(path), Some(PathRule::Character), "{path:?}");
        }
        for path in ["NUL", "con.onnx", "members/COM1", "lpt9.json"] {
            assert_eq!(rule(path), Some(PathRule::Device), "{path}");
        }
    }

    #[test]
    fn degenerate_paths_are_rejected() {
        assert_eq!(rule(""), Some(PathRule::Empty));
        assert_eq!(rule("a//b"), Some(PathRule::EmptyComponent));
        assert_eq!(rule("a/"), Some(PathRule::EmptyComponent));
        assert_eq!(rule("a."), Some(PathRule::TrailingDot));
        assert_eq!(rule(&"a".repeat(201)), Some(PathRule::TooLong));
    }
}
