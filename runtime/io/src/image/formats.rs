//! The formats that can be read, and the endings of their names.

use std::path::Path;

use crate::image::format::Format;
use crate::nifti;

/// All formats, in the order in which files are searched.
pub const FORMATS: &[&Format] = &[
    &nifti::FORMAT,
    &crate::nrrd::FORMAT,
    &crate::metaimage::FORMAT,
];

/// Endings of names that announce an image, in lower case, in the order in which files are searched.
pub fn endings() -> impl Iterator<Item = &'static str> {
    FORMATS
        .iter()
        .flat_map(|format| format.endings.iter().copied())
}

/// Names of all formats for messages, such as `NIfTI/NRRD/MetaImage`.
pub fn format_names() -> String {
    let names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
    names.join("/")
}

/// All formats with the endings of their files, such as `NIfTI (.nii.gz, .nii, .hdr, .img)`.
pub fn described_formats() -> String {
    let described = FORMATS.iter().map(|format| {
        // Other compressed endings are not listed.
        let parts = format.part_endings.iter();
        let parts = parts.filter(|ending| !ending.ends_with(".gz"));
        let endings: Vec<_> = format.endings.iter().chain(parts).copied().collect();
        format!("{} ({})", format.name, endings.join(", "))
    });
    let described: Vec<_> = described.collect();
    match described.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => described.concat(),
    }
}

/// Whether a name has the ending of an image, in any case.
///
/// **Examples**
/// ```
/// use vesal_io::image::has_ending;
/// assert!(has_ending("a.NII.gz"));
/// // The header of a pair may be that of another program: its bytes tell.
/// assert!(!has_ending("a.hdr"));
/// ```
pub fn has_ending(name: &str) -> bool {
    endings().any(|ending| ends_with(name, ending))
}

/// A name without the ending of an image or of a part of one, in any case; other names are returned unchanged.
///
/// **Examples**
/// ```
/// use vesal_io::image::without_ending;
/// assert_eq!(without_ending("v1.2.NII"), "v1.2");
/// assert_eq!(without_ending("notes.txt"), "notes.txt");
/// ```
pub fn without_ending(name: &str) -> &str {
    let all = FORMATS
        .iter()
        .flat_map(|format| format.endings.iter().chain(format.part_endings));
    let found = all.filter(|ending| ends_with(name, ending));
    match found.map(|ending| ending.len()).max() {
        Some(length) => &name[..name.len() - length],
        None => name,
    }
}

/// The name of a file without its directory and its ending: `scans/liver_7.nii.gz` is case `liver_7`.
///
/// **Definition**: [`without_ending`] of the file's name. `None` if the path has no name, or nothing else than an
/// ending.
///
/// **Examples**
/// ```
/// use vesal_io::image::case_name;
/// assert_eq!(case_name("scans/liver_7.nii.gz".as_ref()).as_deref(), Some("liver_7"));
/// assert_eq!(case_name("study_3".as_ref()).as_deref(), Some("study_3"));
/// ```
pub fn case_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let stem = without_ending(&name);
    (!stem.is_empty()).then(|| stem.to_owned())
}

/// The format that a name belongs to by its ending.
pub(crate) fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().copied().find(|format| {
        let mut endings = format.endings.iter().chain(format.part_endings);
        endings.any(|ending| ends_with(name, ending))
    })
}

/// The format whose header the first bytes of a file begin.
pub(crate) fn by_bytes(head: &[u8]) -> Option<&'static Format> {
    FORMATS
        .iter()
        .copied()
        .find(|format| (format.recognizes)(head))
}

/// Whether a name has this ending, in any case; `ending` is in lower case.
fn ends_with(name: &str, ending: &str) -> bool {
    let cut = name.len().checked_sub(ending.len());
    cut.and_then(|cut| name.get(cut..))
        .is_some_and(|end| end.eq_ignore_ascii_case(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_taken_off_whatever_their_case() {
        assert_eq!(without_ending("a.nii"), "a");
        assert_eq!(without_ending("a.b.HDR.Gz"), "a.b");
        assert_eq!(without_ending("a.gz"), "a.gz");
        assert_eq!(without_ending("nii"), "nii");
        assert_eq!(without_ending("größe.img.gz"), "größe");
        assert_eq!(without_ending("ü"), "ü");
    }

    #[test]
    fn case_names_are_what_is_left() {
        assert_eq!(case_name(".nii.gz".as_ref()), None);
        assert_eq!(case_name("..".as_ref()), None);
        assert_eq!(case_name("a/b.img".as_ref()).as_deref(), Some("b"));
        assert_eq!(
            case_name("notes.txt".as_ref()).as_deref(),
            Some("notes.txt")
        );
    }

    #[test]
    fn endings_are_lower_case_and_each_has_one_format() {
        let all = || {
            FORMATS
                .iter()
                .flat_map(|format| format.endings.iter().chain(format.part_endings))
        };
        for ending in all() {
            assert!(ending.starts_with('.') && *ending == ending.to_ascii_lowercase());
            assert_eq!(all().filter(|other| *other == ending).count(), 1);
        }
    }
}
