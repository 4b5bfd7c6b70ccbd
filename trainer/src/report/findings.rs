//! Findings of the analysis, with pictures.

use super::format::{chain, count};
use super::page::{Section, escaped, figure};
use super::png::{LINES, MARK_COLOR, NON_FINITE_COLOR};
use super::slice::{Scan, SliceError};
use crate::analyze::findings::{Finding, FindingKind, Severity};
use crate::work_dir::{WorkDir, WorkError};

/// Maximum number of pictures per kind of finding.
const PICTURES: usize = 3;
/// Maximum number of listed findings per kind.
const LISTED: usize = 20;
/// Maximum number of named cases per finding.
const NAMED: usize = 5;

/// Findings by kind, errors first.
pub fn section(work: &WorkDir, left_out: &mut Vec<String>) -> Result<Section, WorkError> {
    let mut section = Section::new("findings", "Findings");
    let command = "vesal-train analyze --work-dir DIR";
    if !work.findings_path().exists() {
        section.missing("The data have not been checked yet.", command);
        return Ok(section);
    }
    let all = work.findings()?;
    if all.findings.is_empty() {
        section.paragraph(&format!(
            "Nothing was found in {}.",
            count(all.n_cases, "case")
        ));
        return Ok(section);
    }
    section.paragraph(&format!(
        "{} in {}; {} left out of the training.",
        count(all.findings.len(), "finding"),
        count(all.n_cases, "case"),
        count(all.n_excluded, "case")
    ));
    let has_data = work.has_data();
    if !has_data {
        section.note("The images are not where the work directory remembers them, so there are no pictures; --dataroot DIR tells where they are.");
    }
    let mut has_key = false;
    let mut kinds: Vec<(Severity, FindingKind)> = all
        .findings
        .iter()
        .map(|finding| (finding.severity, finding.kind))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    for (severity, kind) in kinds {
        let of_kind: Vec<&Finding> = all
            .findings
            .iter()
            .filter(|finding| (finding.severity, finding.kind) == (severity, kind))
            .collect();
        let (class, tag) = match severity {
            Severity::Error => ("error", "left out"),
            Severity::Warning => ("warning", "warning"),
        };
        section.markup(&format!(
            "<h3>{} ({}) <span class=\"tag {class}\">{tag}</span></h3>",
            escaped(kind.title()),
            of_kind.len()
        ));
        let mut hints: Vec<&str> = of_kind
            .iter()
            .map(|finding| finding.hint.as_str())
            .collect();
        hints.sort_unstable();
        hints.dedup();
        section.paragraph(&format!("Remedy: {}.", hints.join("; ")));
        let rows: Vec<Vec<String>> = of_kind
            .iter()
            .take(LISTED)
            .map(|finding| vec![named(&finding.cases), finding.message.clone()])
            .collect();
        section.table("What was found", &["Case", "Found"], &rows);
        if of_kind.len() > LISTED {
            section.note(&format!(
                "{} more are in findings.json.",
                of_kind.len() - LISTED
            ));
        }
        if has_data {
            let pictures: Vec<String> = of_kind
                .iter()
                .filter(|_| shows_something(kind))
                .flat_map(|finding| {
                    finding
                        .cases
                        .iter()
                        .take(2)
                        .map(move |case| (finding, case))
                })
                .take(PICTURES)
                .filter_map(|(finding, case)| match picture(work, finding, case) {
                    Ok(picture) => picture,
                    Err(error) => {
                        left_out.push(format!("no picture of `{case}`: {}", chain(&error)));
                        None
                    }
                })
                .collect();
            if !pictures.is_empty() && !has_key {
                has_key = true;
                let names = work.class_names().iter().map(String::as_str);
                let mut key: Vec<_> = LINES.into_iter().zip(names).collect();
                key.extend([(MARK_COLOR, "place"), (NON_FINITE_COLOR, "no number")]);
                section.key(&key);
            }
            if !pictures.is_empty() {
                section.markup(&format!(
                    "<div class=\"gallery pictures\">{}</div>",
                    pictures.concat()
                ));
            }
        }
    }
    Ok(section)
}

/// Whether a picture helps to understand findings of this kind.
fn shows_something(kind: FindingKind) -> bool {
    !matches!(
        kind,
        FindingKind::MissingFile
            | FindingKind::UnreadableFile
            | FindingKind::LabelNeverOccurs
            | FindingKind::LabelInOneFold
    )
}

/// The slice of a finding in one of its cases; `None` where a picture shows nothing of it.
fn picture(work: &WorkDir, finding: &Finding, case: &str) -> Result<Option<String>, SliceError> {
    let Some(files) = work.case(case) else {
        return Ok(None);
    };
    let root = work.dataroot();
    let is_own = |file: &str| files.files().any(|own| own == file);
    let position = finding
        .position
        .as_ref()
        .filter(|position| is_own(&position.file));
    let is_image = |file: &str| {
        files
            .images
            .iter()
            .chain(&files.further)
            .any(|own| own == file)
    };
    let shown = position
        .map(|position| position.file.as_str())
        .filter(|file| is_image(file))
        .or(files.images.first().map(String::as_str));
    let Some(shown) = shown else {
        return Ok(None);
    };
    let mut scan = Scan::read(&root.join(shown))?;
    // A world position, because files of a case may have different voxel orders.
    let place = match position {
        Some(position) => {
            let file = root.join(&position.file);
            let geometry = vesal_io::image::read_header(&file)?.geometry;
            let voxel = position.voxel.map(|index| index as f64);
            Some((file, geometry.affine.voxel_to_world(voxel)))
        }
        None => None,
    };
    let mut mark = place.as_ref().and_then(|(_, world)| scan.voxel(*world));
    if let Some((file, world)) = &place
        && mark.is_none()
    {
        scan = Scan::read(file)?;
        mark = scan.voxel(*world);
    }
    // The finding itself may be about a label map that cannot be read.
    let labels = files
        .label
        .as_ref()
        .and_then(|file| vesal_io::image::read_label_map(root.join(file)).ok());
    let outline = labels.and_then(|labels| scan.outline(labels, None));
    let label = finding.labels.first().copied();
    let slice = match (mark, &outline) {
        (Some(voxel), _) => scan.slice_of(voxel),
        (None, Some(outline)) => scan.slice_with_most(|voxel| outline.has(voxel, label)),
        (None, None) => scan.slices() / 2,
    };
    let outlines: Vec<_> = outline.iter().collect();
    let drawn = scan.draw(slice, &outlines, mark);
    let what = if mark.is_some() {
        ", with a ring around the place"
    } else {
        ""
    };
    let caption = format!(
        "{case}: slice {} of {}, {}{what}{}",
        slice + 1,
        scan.slices(),
        scan.view(),
        if outline.is_some() {
            ""
        } else {
            "; no labels on this grid"
        }
    );
    let alt = escaped(&format!("Slice of {case}: {}", finding.kind.title()));
    Ok(Some(figure(&drawn.element(&alt), &caption)))
}

fn named(cases: &[String]) -> String {
    match cases {
        [] => "dataset".to_owned(),
        few if few.len() <= NAMED => few.join(", "),
        many => format!(
            "{} and {} more",
            many[..NAMED].join(", "),
            many.len() - NAMED
        ),
    }
}
