//! Names of the data files.

use std::path::{Path, PathBuf};

use super::error::MetaImageError;
use super::header::wrong;
use super::lines::{MetaImageField, MetaImageLines};
use crate::image::data_files::{self, within};

const EXPECTED: &str = "`LOCAL`, a file, `LIST`, or a name with one `%d` and its first and last number and step, as in \
                        `slice%03d.raw 1 80 1`";

/// The data files in the order of their voxels; `None` where these follow the header.
///
/// **Errors**: a name leads out of the folder of the header or is repeated; their number does not fit `sizes`.
pub(super) fn data_files(
    lines: &MetaImageLines,
    header: &Path,
    sizes: &[usize],
) -> Result<Option<Vec<PathBuf>>, MetaImageError> {
    let text = lines.required(MetaImageField::ElementDataFile)?;
    let folder = header.parent().unwrap_or(Path::new(""));
    let words: Vec<&str> = text.split_whitespace().collect();
    let (names, axes) = match words.as_slice() {
        [local] if local.eq_ignore_ascii_case("LOCAL") => return Ok(None),
        ["LIST"] => (lines.files.clone(), None),
        ["LIST", axes] => (lines.files.clone(), Some(*axes)),
        [pattern, numbers @ ..] if pattern.contains('%') => {
            let count = sizes.last().copied().unwrap_or(1);
            let (numbers, axes) = numbers.split_at(numbers.len().min(3));
            let names = numbered(pattern, numbers, count);
            let names =
                names.ok_or_else(|| wrong(MetaImageField::ElementDataFile, text, EXPECTED))?;
            (names, axes.first().copied())
        }
        _ => return Ok(Some(vec![within(folder, text)?])),
    };
    let axes = match axes {
        // `2D` as well as `2`.
        Some(axes) => axes.trim_end_matches(['D', 'd']).parse().ok(),
        None => Some(sizes.len() - 1),
    };
    let axes = axes.filter(|axes| (1..=sizes.len()).contains(axes));
    let axes = axes.ok_or_else(|| wrong(MetaImageField::ElementDataFile, text, EXPECTED))?;
    Ok(Some(data_files::several(folder, names, axes, sizes)?))
}

/// The names of a pattern: numbers from the first, which is 1 by default, for `count` files.
fn numbered(pattern: &str, numbers: &[&str], count: usize) -> Option<Vec<String>> {
    let numbers: Vec<i64> = numbers
        .iter()
        .map(|word| word.parse().ok())
        .collect::<Option<_>>()?;
    let first = numbers.first().copied().unwrap_or(1);
    let last = match numbers.get(1) {
        Some(last) => *last,
        None => first.checked_add(i64::try_from(count).ok()? - 1)?,
    };
    data_files::numbered(pattern, first, last, numbers.get(2).copied().unwrap_or(1))
}
