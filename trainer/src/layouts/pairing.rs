//! Cases by the names of their images and label maps.

use std::collections::{BTreeMap, BTreeSet};

use vesal_io::image::without_ending;

use super::error::LayoutError;
use super::oddity::{Oddity, OddityKind};
use super::pattern::NamePattern;
use super::tree::TreeFile;
use super::words::{channel_of, image_case, label_case, numbered_channel};

/// Channel of an image whose name states none.
pub(super) const ONLY_CHANNEL: &str = "image";

/// The files of a case before its channels are chosen.
#[derive(Debug, Default)]
pub(super) struct CaseDraft {
    pub images: BTreeMap<String, Vec<String>>,
    pub label: Option<String>,
    pub patient: Option<String>,
}

impl CaseDraft {
    pub fn add(&mut self, channel: &str, path: &str) {
        let files = self.images.entry(channel.to_owned()).or_default();
        files.push(path.to_owned());
    }
}

/// Cases by name.
#[derive(Debug, Default)]
pub(super) struct CaseDrafts(pub BTreeMap<String, CaseDraft>);

impl CaseDrafts {
    pub fn labeled(&self) -> usize {
        let cases = self.0.values();
        cases.filter(|case| case.label.is_some()).count()
    }

    /// Removes label maps without an image.
    pub fn without_bare_labels(mut self, oddities: &mut Vec<Oddity>) -> Self {
        let mut bare = Vec::new();
        self.0.retain(|_, case| {
            let has_images = !case.images.is_empty();
            if !has_images {
                bare.extend(case.label.take());
            }
            has_images
        });
        if !bare.is_empty() {
            oddities.push(Oddity::new(OddityKind::LabelsWithoutImages, bare));
        }
        self
    }
}

/// Pairs images with label maps.
///
/// **Definition**: the name of a case is that of its label map, with or without a word such as `seg`, or what a star of
/// the user's `pattern` stands for. An image belongs
/// to it if it has that name, with or without a word such as `image`, or if its name goes on after it with the name of
/// a channel: `p1_t1` and `p1_0000` belong to `p1_seg`. The longest such case counts.
///
/// **Errors**: two label maps stand for one case.
pub(super) fn pair(
    images: &[TreeFile],
    labels: &[TreeFile],
    pattern: Option<&NamePattern>,
) -> Result<CaseDrafts, LayoutError> {
    let mut cases: BTreeMap<String, CaseDraft> = BTreeMap::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for label in labels {
        let short = match pattern.and_then(|pattern| pattern.starred(label.name())) {
            Some(case) => Some(without_ending(&case).to_owned()),
            None => label_case(&label.stem),
        };
        let short = short.filter(|case| !case.is_empty());
        let case = short.unwrap_or_else(|| label.stem.clone());
        let draft = cases.entry(case.clone()).or_default();
        if let Some(first) = draft.label.replace(label.path.clone()) {
            let files = vec![first, label.path.clone()];
            return Err(LayoutError::SeveralLabels { case, files });
        }
        names.insert(label.stem.clone(), case.clone());
        names.entry(case.clone()).or_insert(case);
    }
    let mut unlabeled = Vec::new();
    for image in images {
        match owner(&image.stem, &names) {
            Some((case, channel)) => cases.entry(case).or_default().add(&channel, &image.path),
            None => unlabeled.push(image),
        }
    }
    let channels: BTreeSet<String> = cases
        .values()
        .flat_map(|case| case.images.keys().cloned())
        .collect();
    for image in unlabeled {
        let known = channels.iter().find_map(|channel| {
            let case = image.stem.strip_suffix(channel.as_str())?;
            let case = case.strip_suffix(['_', '-', '.', ' '])?;
            (!case.is_empty()).then_some((case, channel.as_str()))
        });
        match known.or_else(|| numbered_channel(&image.stem)) {
            Some((case, channel)) => cases
                .entry(case.to_owned())
                .or_default()
                .add(channel, &image.path),
            None => cases
                .entry(image_case(&image.stem))
                .or_default()
                .add(ONLY_CHANNEL, &image.path),
        }
    }
    Ok(CaseDrafts(cases))
}

/// Case and channel of an image; `None` where it has no label map.
fn owner(stem: &str, names: &BTreeMap<String, String>) -> Option<(String, String)> {
    let whole = [stem.to_owned(), image_case(stem)];
    if let Some(case) = whole.iter().find_map(|name| names.get(name)) {
        return Some((case.clone(), ONLY_CHANNEL.to_owned()));
    }
    let separators = stem
        .char_indices()
        .filter(|(_, next)| matches!(next, '_' | '-' | '.' | ' '));
    let mut prefixes: Vec<usize> = separators.map(|(at, _)| at).collect();
    prefixes.reverse();
    prefixes.into_iter().find_map(|at| {
        let case = names.get(&stem[..at])?;
        Some((case.clone(), channel_of(stem, &stem[..at])?.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(stems: &[&str]) -> Vec<TreeFile> {
        let file = |stem: &&str| TreeFile {
            path: format!("{stem}.nii.gz"),
            stem: (*stem).to_owned(),
        };
        stems.iter().map(file).collect()
    }

    #[test]
    fn names_lead_to_cases_and_channels() {
        let images = files(&["p1_t1", "p1_t2", "p10_t1", "q_0000", "img0001", "x", "r_t1"]);
        let labels = files(&["p1_seg", "p10_seg", "q", "label0001", "y_mask"]);
        let mut oddities = Vec::new();
        let cases = pair(&images, &labels, None).unwrap();
        assert_eq!(cases.labeled(), 5);
        let cases = cases.without_bare_labels(&mut oddities).0;
        let channels = |case: &str| cases[case].images.keys().cloned().collect::<Vec<_>>();
        assert_eq!(channels("p1"), ["t1", "t2"]);
        assert_eq!(channels("p10"), ["t1"]);
        assert_eq!(channels("q"), ["0000"]);
        assert_eq!(channels("0001"), ["image"]);
        assert_eq!(channels("r"), ["t1"]);
        assert!(cases["r"].label.is_none() && cases["x"].label.is_none());
        assert_eq!(oddities[0].about, ["y_mask.nii.gz"]);
        let error = pair(&images, &files(&["p1_seg", "p1_mask"]), None).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("case `p1` has several label maps")
        );
    }
}
