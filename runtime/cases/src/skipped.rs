//! Files that are left out, by reason.

use std::collections::BTreeMap;

use vesal_io::dicom::Skipped;

/// One line for each reason, with the first of its files.
pub fn told<'a>(files: impl Iterator<Item = &'a Skipped>) -> Vec<String> {
    let texts = |file: &Skipped| (file.path.display().to_string(), file.reason.to_string());
    let files: Vec<_> = files.map(texts).collect();
    lines(files.iter().map(|(path, reason)| (&**path, &**reason)))
}

/// The same of paths with reasons.
///
/// **Examples**: ``skipped `a` and 2 more: it is a localizer``.
pub fn lines<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, reason) in files {
        by_reason.entry(reason).or_default().push(path);
    }
    by_reason
        .into_iter()
        .map(|(reason, files)| {
            let others = match files.len() - 1 {
                0 => String::new(),
                others => format!(" and {others} more"),
            };
            format!("skipped `{}`{others}: {reason}", files[0])
        })
        .collect()
}
