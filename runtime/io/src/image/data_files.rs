//! Names of the data files of headers that have their voxels elsewhere.
//!
//! Data files lie in the folder of their header or below it: a header cannot name other files.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Most data files of a header.
const FILES_MAX: u64 = 1 << 16;

/// Widest number in a name.
const WIDTH_MAX: usize = 20;

/// A rule for the data files of a header that it breaks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DataFilesError {
    #[error("data file `{found}` does not lie within the header's folder")]
    Outside {
        /// Its first characters.
        found: String,
    },
    #[error("it names {found} data files, expected {expected} by its sizes")]
    Count { found: u64, expected: u64 },
    #[error("it names the data file `{file}` several times")]
    Repeated {
        /// Its first characters.
        file: String,
    },
}

impl DataFilesError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Outside { .. } => Some(
                "move the data file beside its header, and let the header state its name alone",
            ),
            Self::Count { .. } | Self::Repeated { .. } => None,
        }
    }
}

/// The paths of several files below a folder, each of which holds the first `axes` axes of an array.
///
/// **Errors**: a name leads out of the folder or is repeated; their number does not fit `sizes`.
pub(crate) fn several(
    folder: &Path,
    names: Vec<String>,
    axes: usize,
    sizes: &[usize],
) -> Result<Vec<PathBuf>, DataFilesError> {
    check_count(names.len() as u64, axes, sizes)?;
    let mut known = BTreeSet::new();
    let path = |name: String| {
        let path = within(folder, &name)?;
        match known.insert(path.clone()) {
            true => Ok(path),
            false => Err(DataFilesError::Repeated { file: shown(&name) }),
        }
    };
    names.into_iter().map(path).collect()
}

fn check_count(found: u64, axes: usize, sizes: &[usize]) -> Result<(), DataFilesError> {
    let expected = if axes >= sizes.len() {
        // Parts of the array along its slowest axis, of equal length.
        let slowest = sizes.last().copied().unwrap_or(1) as u64;
        if found > 0 && slowest.is_multiple_of(found) {
            found
        } else {
            slowest
        }
    } else {
        let products = sizes[axes..].iter().map(|&size| size as u64);
        products.fold(1, u64::saturating_mul)
    };
    if found == expected && found <= FILES_MAX {
        Ok(())
    } else {
        Err(DataFilesError::Count { found, expected })
    }
}

/// The names of a pattern with one `%d`, from the first to the last number; `None` where it is malformed or gives too
/// many.
pub(crate) fn numbered(pattern: &str, first: i64, last: i64, step: i64) -> Option<Vec<String>> {
    let (before, rest) = pattern.split_once('%')?;
    let (flags, after) = rest.split_once(['d', 'i', 'u'])?;
    let zeros = flags.starts_with('0');
    let width = match flags {
        "" => Some(0),
        flags if flags.bytes().all(|byte| byte.is_ascii_digit()) => flags.parse().ok(),
        _ => None,
    };
    let width = width.filter(|&width: &usize| width <= WIDTH_MAX && !after.contains('%'))?;
    let steps = last.checked_sub(first)?.checked_div(step)?;
    let count = u64::try_from(steps)
        .ok()
        .filter(|&steps| steps < FILES_MAX)?;
    let name = |index: u64| {
        let number = first + step * index as i64;
        if zeros {
            format!("{before}{number:0width$}{after}")
        } else {
            format!("{before}{number:width$}{after}")
        }
    };
    Some((0..=count).map(name).collect())
}

/// A path below a folder.
///
/// **Errors**: the name leads out of it.
pub(crate) fn within(folder: &Path, name: &str) -> Result<PathBuf, DataFilesError> {
    let is_inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let is_plain = !name.is_empty() && !name.contains(char::is_control);
    // A backslash is a separator on some systems only, so it is refused.
    if is_plain && !name.contains('\\') && Path::new(name).components().all(is_inside) {
        Ok(folder.join(name))
    } else {
        Err(DataFilesError::Outside { found: shown(name) })
    }
}

/// The first characters of what a header states, for messages.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_number_files() {
        let names = numbered("s%03d.raw", 9, 13, 2).unwrap();
        assert_eq!(names, ["s009.raw", "s011.raw", "s013.raw"]);
        assert_eq!(numbered("%d", 2, 1, -1).unwrap(), ["2", "1"]);
        for (pattern, first, last, step) in [
            ("%d", 1, 2, 0),
            ("%d", 1, 99_999_999, 1),
            ("%d", 2, 1, 1),
            ("%d", i64::MIN, 1, 1),
            ("%s", 1, 2, 1),
            ("%-3d", 1, 2, 1),
            ("%d%d", 1, 2, 1),
            ("%99999d", 1, 2, 1),
        ] {
            let found = numbered(pattern, first, last, step);
            assert!(found.is_none(), "{pattern} {first} {last} {step}");
        }
    }

    #[test]
    fn names_stay_within_the_folder() {
        let folder = Path::new("scans");
        for (name, path) in [
            ("a b.raw", "scans/a b.raw"),
            ("./x/a.raw", "scans/./x/a.raw"),
        ] {
            assert_eq!(within(folder, name), Ok(PathBuf::from(path)));
        }
        for name in [
            "../a",
            "x/../../a",
            "/etc/passwd",
            "",
            "a\0b",
            "..\\a",
            "C:\\a",
            "..",
        ] {
            assert!(within(folder, name).is_err(), "{name}");
        }
    }
}
