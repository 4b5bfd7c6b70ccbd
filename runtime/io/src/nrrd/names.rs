//! Names of the data files of a detached header.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::error::{NrrdError, shown};
use super::lines::{Field, HeaderLines};
use super::value::wrong;

/// Most data files of a header.
const FILES_MAX: u64 = 1 << 16;

/// Widest number in a name.
const WIDTH_MAX: usize = 20;

const EXPECTED: &str = "a file, `LIST`, or a name with one `%d` and its first and last number and step, as in \
                        `slice%03d.raw 1 80 1`";

/// The data files of a detached header in the order of their voxels; `None` where these follow the header.
///
/// **Errors**: a name leads out of the folder of the header or is repeated; their number does not fit `sizes`.
pub(super) fn data_files(
    lines: &HeaderLines,
    header: &Path,
    sizes: &[usize],
) -> Result<Option<Vec<PathBuf>>, NrrdError> {
    let Some(text) = lines.get(Field::DataFile) else {
        return Ok(None);
    };
    let folder = header.parent().unwrap_or(Path::new(""));
    let words: Vec<&str> = text.split_whitespace().collect();
    let (names, slab_axes) = match words.as_slice() {
        ["LIST"] => (lines.files.clone(), None),
        ["LIST", axes] => (lines.files.clone(), Some(*axes)),
        [pattern, first, last, step] if pattern.contains('%') => {
            (numbered(text, pattern, [*first, *last, *step])?, None)
        }
        [pattern, first, last, step, axes] if pattern.contains('%') => (
            numbered(text, pattern, [*first, *last, *step])?,
            Some(*axes),
        ),
        _ => return Ok(Some(vec![within(folder, text)?])),
    };
    check_count(text, names.len() as u64, slab_axes, sizes)?;
    let mut known = BTreeSet::new();
    let path = |name: String| {
        let path = within(folder, &name)?;
        match known.insert(path.clone()) {
            true => Ok(path),
            false => Err(NrrdError::Repeated { file: shown(&name) }),
        }
    };
    names
        .into_iter()
        .map(path)
        .collect::<Result<_, _>>()
        .map(Some)
}

/// Checks that files of this many axes each make up the array: by default, of all but the slowest.
fn check_count(
    text: &str,
    found: u64,
    slab_axes: Option<&str>,
    sizes: &[usize],
) -> Result<(), NrrdError> {
    let axes = match slab_axes {
        Some(axes) => axes.parse().ok(),
        None => Some(sizes.len() - 1),
    };
    let axes = axes.filter(|axes| (1..=sizes.len()).contains(axes));
    let axes = axes.ok_or_else(|| wrong(Field::DataFile, text, EXPECTED))?;
    let expected = if axes == sizes.len() {
        // Parts of the array along its slowest axis, of equal length.
        let slowest = sizes[axes - 1] as u64;
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
        Err(NrrdError::Files { found, expected })
    }
}

/// The names of a pattern.
fn numbered(text: &str, pattern: &str, range: [&str; 3]) -> Result<Vec<String>, NrrdError> {
    let malformed = || wrong(Field::DataFile, text, EXPECTED);
    let mut numbers = range.into_iter().map(|word| word.parse::<i64>().ok());
    let (Some(Some(first)), Some(Some(last)), Some(Some(step))) =
        (numbers.next(), numbers.next(), numbers.next())
    else {
        return Err(malformed());
    };
    let (before, rest) = pattern.split_once('%').ok_or_else(malformed)?;
    let (flags, after) = rest.split_once(['d', 'i', 'u']).ok_or_else(malformed)?;
    let zeros = flags.starts_with('0');
    let width = match flags {
        "" => Some(0),
        flags if flags.bytes().all(|byte| byte.is_ascii_digit()) => flags.parse().ok(),
        _ => None,
    };
    let width = width.filter(|&width: &usize| width <= WIDTH_MAX && !after.contains('%'));
    let width = width.ok_or_else(malformed)?;
    let span = last.checked_sub(first).ok_or_else(malformed)?;
    let steps = span.checked_div(step).ok_or_else(malformed)?;
    let count = u64::try_from(steps)
        .ok()
        .filter(|&steps| steps < FILES_MAX)
        .ok_or_else(malformed)?;
    let name = |index: u64| {
        let number = first + step * index as i64;
        if zeros {
            format!("{before}{number:0width$}{after}")
        } else {
            format!("{before}{number:width$}{after}")
        }
    };
    Ok((0..=count).map(name).collect())
}

/// A path below a folder.
fn within(folder: &Path, name: &str) -> Result<PathBuf, NrrdError> {
    let is_inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let is_plain = !name.is_empty() && !name.contains(char::is_control);
    // A backslash is a separator on some systems only, so it is refused.
    if is_plain && !name.contains('\\') && Path::new(name).components().all(is_inside) {
        Ok(folder.join(name))
    } else {
        Err(NrrdError::Outside { found: shown(name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_number_files() {
        let names = |pattern, range| numbered("", pattern, range);
        assert_eq!(
            names("s%03d.raw", ["9", "13", "2"]).unwrap(),
            ["s009.raw", "s011.raw", "s013.raw"]
        );
        assert_eq!(names("%d", ["2", "1", "-1"]).unwrap(), ["2", "1"]);
        for (pattern, range) in [
            ("%d", ["1", "2", "0"]),
            ("%d", ["1", "99999999", "1"]),
            ("%d", ["2", "1", "1"]),
            ("%d", ["-9223372036854775808", "1", "1"]),
            ("%s", ["1", "2", "1"]),
            ("%-3d", ["1", "2", "1"]),
            ("%d%d", ["1", "2", "1"]),
            ("%99999d", ["1", "2", "1"]),
        ] {
            assert!(names(pattern, range).is_err(), "{pattern} {range:?}");
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
