//! Names of the data files of a detached header.

use std::path::{Path, PathBuf};

use super::error::NrrdError;
use super::lines::{Field, HeaderLines};
use super::value::wrong;
use crate::image::data_files::{self, within};

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
    let axes = match slab_axes {
        Some(axes) => axes.parse().ok(),
        None => Some(sizes.len() - 1),
    };
    let axes = axes.filter(|axes| (1..=sizes.len()).contains(axes));
    let axes = axes.ok_or_else(|| wrong(Field::DataFile, text, EXPECTED))?;
    Ok(Some(data_files::several(folder, names, axes, sizes)?))
}

/// The names of a pattern.
fn numbered(text: &str, pattern: &str, range: [&str; 3]) -> Result<Vec<String>, NrrdError> {
    let names = match range.map(|word| word.parse::<i64>().ok()) {
        [Some(first), Some(last), Some(step)] => data_files::numbered(pattern, first, last, step),
        _ => None,
    };
    names.ok_or_else(|| wrong(Field::DataFile, text, EXPECTED))
}
