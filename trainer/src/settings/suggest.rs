//! Suggestions for misspelled names.

/// The name with the least edit distance from `found`, if it is similar enough.
pub(crate) fn closest<'a>(found: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_ascii_lowercase();
    let scored = names.map(|name| (edits(&found, name), name));
    let (distance, name) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + name.len() / 5).then_some(name)
}

/// The text `, did you mean …?`, or nothing.
pub(crate) fn phrase(suggestion: &Option<&str>) -> String {
    suggestion
        .map(|name| format!(", did you mean `{name}`?"))
        .unwrap_or_default()
}

/// Levenshtein distance: insertions, deletions and replacements between two texts.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names_are_suggested_and_far_ones_are_not() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        let names = ["num_epochs", "roi_size", "seed"];
        assert_eq!(closest("num_epoch", names.into_iter()), Some("num_epochs"));
        assert_eq!(closest("ROI_size", names.into_iter()), Some("roi_size"));
        assert_eq!(closest("batch", names.into_iter()), None);
    }
}
