//! The Brain Imaging Data Structure: `sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz`, with label maps beside the images or
//! in derivatives.

use std::collections::{BTreeMap, BTreeSet};

use super::channels::choose;
use super::error::LayoutError;
use super::found::{FolderLayout, FoundDataset};
use super::oddity::{Oddity, OddityKind};
use super::options::LayoutOptions;
use super::pairing::{CaseDraft, CaseDrafts};
use super::pairs::split_off_unlabeled;
use super::tree::{ImageTree, TreeFile};

/// Suffixes of label maps.
const LABEL_SUFFIXES: &[&str] = &["dseg", "mask", "seg"];

/// Folders of images that are single volumes.
const DATATYPES: &[&str] = &["anat", "pet", "ct"];

/// The parts of a file name.
struct BidsName<'n> {
    subject: &'n str,
    session: Option<&'n str>,
    run: Option<&'n str>,
    /// All other entities and the suffix, such as `acq-3d_T1w`.
    kind: String,
    suffix: &'n str,
}

impl<'n> BidsName<'n> {
    /// `None` for other names.
    fn new(stem: &'n str) -> Option<Self> {
        let mut parts: Vec<&str> = stem.split('_').collect();
        let suffix = parts.pop()?;
        let mut name = Self {
            subject: "",
            session: None,
            run: None,
            kind: String::new(),
            suffix,
        };
        for part in parts {
            match part.split_once('-') {
                Some(("sub", subject)) => name.subject = subject,
                Some(("ses", session)) => name.session = Some(session),
                Some(("run", run)) => name.run = Some(run),
                _ => name.kind += &format!("{part}_"),
            }
        }
        name.kind += suffix;
        (!name.subject.is_empty()).then_some(name)
    }

    fn case(&self) -> String {
        match self.session {
            Some(session) => format!("sub-{}_ses-{session}", self.subject),
            None => format!("sub-{}", self.subject),
        }
    }

    fn is_label(&self) -> bool {
        LABEL_SUFFIXES.contains(&self.suffix)
    }
}

/// A file with its run.
type BidsRun<'t> = (Option<&'t str>, &'t TreeFile);

/// Whether the root has folders of subjects with images in them.
pub(super) fn is_layout(tree: &ImageTree) -> bool {
    images(tree).next().is_some()
}

/// Images of single volumes, label maps left out.
fn images(tree: &ImageTree) -> impl Iterator<Item = (&TreeFile, BidsName<'_>)> {
    let folders = tree.folders().filter(|(folder, _)| {
        let mut parts = folder.split('/');
        parts.next().is_some_and(|first| first.starts_with("sub-"))
            && parts
                .next_back()
                .is_some_and(|last| DATATYPES.contains(&last))
    });
    let files = folders.flat_map(|(_, files)| files);
    let named = files.filter_map(|file| Some((file, BidsName::new(&file.stem)?)));
    named.filter(|(_, name)| !name.is_label())
}

pub(super) fn find(tree: &ImageTree, options: &LayoutOptions) -> Result<FoundDataset, LayoutError> {
    let mut oddities = Vec::new();
    let mut drafts = CaseDrafts::default();
    let mut runs: BTreeMap<(String, String), Vec<BidsRun<'_>>> = BTreeMap::new();
    for (file, name) in images(tree) {
        let draft = drafts.0.entry(name.case()).or_default();
        draft.patient = name.session.map(|_| format!("sub-{}", name.subject));
        let of_kind = runs.entry((name.case(), name.kind.clone())).or_default();
        of_kind.push((name.run, file));
    }
    let labels = label_maps(tree, options)?;
    let mut several = Vec::new();
    for ((case, kind), mut files) in runs {
        files.sort();
        // The run that was labeled, or the first one.
        let labeled = labels.get(&case).and_then(|(run, _)| *run);
        let taken = files
            .iter()
            .find(|(run, _)| run.is_some() && *run == labeled);
        let Some((_, file)) = taken.or(files.first()) else {
            continue;
        };
        if files.len() > 1 {
            several.push(file.path.clone());
        }
        let draft = drafts.0.entry(case).or_default();
        draft.add(&kind, &file.path);
    }
    for (case, (_, file)) in labels {
        let draft = drafts.0.entry(case).or_insert_with(CaseDraft::default);
        draft.label = Some(file.path.clone());
    }
    if !several.is_empty() {
        oddities.push(Oddity::new(OddityKind::SeveralRuns, several));
    }
    let images = drafts.0.len();
    let drafts = drafts.without_bare_labels(&mut oddities);
    if drafts.labeled() == 0 {
        return Err(LayoutError::NoPairs { images, labels: 0 });
    }
    let mut chosen = choose(drafts, &options.channels)?;
    oddities.append(&mut chosen.oddities);
    chosen.oddities = oddities;
    let testing = split_off_unlabeled(&mut chosen);
    Ok(FoundDataset {
        layout: FolderLayout::Bids,
        name: None,
        channels: chosen.channels,
        in_one_file: false,
        training: chosen.cases,
        testing,
        classes: None,
        splits: None,
        oddities: chosen.oddities,
    })
}

/// The label map of each case, with its run.
///
/// **Errors**: there are several kinds, or a case has several.
fn label_maps<'t>(
    tree: &'t ImageTree,
    options: &LayoutOptions,
) -> Result<BTreeMap<String, BidsRun<'t>>, LayoutError> {
    let mut kinds = BTreeSet::new();
    let mut maps = BTreeMap::new();
    let mut twice = None;
    for file in tree.folders().flat_map(|(_, files)| files) {
        let Some(name) = BidsName::new(&file.stem) else {
            continue;
        };
        let is_label = match &options.labels {
            Some(pattern) => pattern.fits(file.name()),
            None => name.is_label(),
        };
        if !is_label {
            continue;
        }
        kinds.insert(format!("*_{}{}", name.kind, file.ending()));
        let case = name.case();
        if let Some((_, first)) = maps.insert(case.clone(), (name.run, file)) {
            twice.get_or_insert((case, first, file));
        }
    }
    if kinds.len() > 1 && (twice.is_some() || options.labels.is_none()) {
        let kinds = kinds.into_iter().collect();
        return Err(LayoutError::LabelKinds { kinds });
    }
    match twice {
        Some((case, first, second)) => Err(LayoutError::SeveralLabels {
            case,
            files: vec![first.path.clone(), second.path.clone()],
        }),
        None => Ok(maps),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_entities() {
        let name = BidsName::new("sub-01_ses-b_acq-3d_run-2_T1w").unwrap();
        assert_eq!(name.case(), "sub-01_ses-b");
        assert_eq!((name.kind.as_str(), name.run), ("acq-3d_T1w", Some("2")));
        assert!(!name.is_label());
        assert!(BidsName::new("sub-01_dseg").unwrap().is_label());
        assert!(BidsName::new("T1w").is_none());
    }
}
