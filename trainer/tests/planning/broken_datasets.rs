//! Datasets with one defect each: the defect is found, its case named, and all other cases are analyzed.

use std::collections::BTreeSet;
use std::fs;

use crate::broken::{IDENTITY, rows};
use crate::dataset_on_disk::{Dataset, image, labels};
use serde_json::json;
use vesal_cases::datalist::Datalist;
use vesal_trainer::analyze::examine;
use vesal_trainer::analyze::findings::FindingKind::{self, *};
use vesal_trainer::analyze::findings::Severity::{Error, Warning};

const GOOD: usize = 6;

/// Copies the good cases, which takes less time than writing them.
fn copied(good: &Dataset) -> Dataset {
    let mut dataset = Dataset::new(0);
    for entry in good.folder.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        let to = dataset.folder.path().join(entry.file_name());
        fs::copy(entry.path(), to).unwrap();
    }
    (0..GOOD).for_each(|index| dataset.list(&format!("case_{index}")));
    dataset
}

#[test]
fn every_defect_is_found_and_the_rest_analyzed() {
    let rows = rows();
    assert!(rows.len() >= 40);
    let good = Dataset::new(GOOD);
    for (what, kind, severity, case, spoil) in rows {
        let mut dataset = copied(&good);
        spoil(&mut dataset);
        let root = dataset.folder.path();
        let datalist = Datalist::from_json(&dataset.datalist(), root, &[]).unwrap();
        let mut seen = BTreeSet::new();
        let examination = examine(&datalist.training, root, 2, |case| {
            assert!(
                seen.insert(case.to_owned()),
                "{what}: `{case}` is observed twice"
            );
        });
        assert_eq!(seen.len(), datalist.training.len(), "{what}");
        let findings = examination.findings.clone();
        let told: Vec<_> = findings
            .findings
            .iter()
            .map(|found| (found.kind, &found.message))
            .collect();
        let found = findings
            .findings
            .iter()
            .find(|found| found.kind == kind && found.cases.iter().any(|name| name == case))
            .unwrap_or_else(|| panic!("{what}: expected {kind:?} about `{case}`, found {told:?}"));
        assert_eq!(found.severity, severity, "{what}");
        assert!(
            !found.hint.is_empty() && !found.message.contains(&*root.to_string_lossy()),
            "{what}: {found:?}"
        );
        for other in &findings.findings {
            assert!(
                other.cases.iter().any(|name| name == case),
                "{what}: {other:?}"
            );
            assert!(other.severity >= severity, "{what}: {other:?}");
        }
        // An error leaves the case out, a warning keeps it, and all other cases are kept.
        let left_out = BTreeSet::from([case].map(str::to_owned));
        let left_out = if severity == Error {
            left_out
        } else {
            BTreeSet::new()
        };
        let analysis = examination.summarize().unwrap();
        let excluded: BTreeSet<_> = analysis
            .excluded
            .iter()
            .map(|case| case.id.clone())
            .collect();
        assert_eq!(excluded, left_out, "{what}");
        assert_eq!(findings.n_excluded, left_out.len(), "{what}");
        let kept: BTreeSet<_> = analysis.cases.into_iter().map(|case| case.case).collect();
        let listed = datalist.training.iter().map(|case| case.id.clone());
        assert_eq!(
            kept,
            listed.filter(|id| !left_out.contains(id)).collect(),
            "{what}"
        );
        let text = serde_json::to_string(&findings).unwrap();
        assert_eq!(findings, serde_json::from_str(&text).unwrap(), "{what}");
    }
}

#[test]
fn positions_and_labels_show_where_to_look() {
    let find = |kind: FindingKind| {
        let (_, _, _, _, spoil) = rows().into_iter().find(|row| row.1 == kind).unwrap();
        let mut dataset = Dataset::new(GOOD);
        spoil(&mut dataset);
        let root = dataset.folder.path();
        let datalist = Datalist::from_json(&dataset.datalist(), root, &[]).unwrap();
        let findings = examine(&datalist.training, root, 2, |_| {})
            .findings
            .findings;
        findings
            .into_iter()
            .find(|found| found.kind == kind)
            .unwrap()
    };
    let nan = find(NonFiniteImage).position.unwrap();
    assert_eq!((nan.file.as_str(), nan.voxel), ("bad.nii.gz", [3, 4, 5]));
    let fraction = find(NonIntegerLabels).position.unwrap();
    assert_eq!(
        (fraction.file.as_str(), fraction.voxel),
        ("bad_label.nii", [2, 2, 2])
    );
    let mirrored = find(LeftRightDiffers);
    assert_eq!(mirrored.labels, [1, 2]);
    assert_eq!(mirrored.position.unwrap().voxel, [8, 4, 3]);
    assert_eq!(find(MissingFile).files, ["bad.nii.gz"]);
    let shapes = find(ShapeMismatch);
    assert_eq!(shapes.files, ["bad_label.nii.gz", "bad.nii.gz"]);
    assert!(
        shapes.message.contains("[12, 10, 7], expected [12, 10, 8]"),
        "{shapes:?}"
    );
}

#[test]
fn clean_data_have_no_findings() {
    let dataset = Dataset::new(GOOD);
    let root = dataset.folder.path();
    let datalist = Datalist::from_json(&dataset.datalist(), root, &[]).unwrap();
    assert_eq!(
        examine(&datalist.training, root, 2, |_| {})
            .findings
            .findings,
        []
    );
    // The task names a label that no label map contains.
    let findings = examine(&datalist.training, root, 3, |_| {})
        .findings
        .findings;
    assert_eq!((findings.len(), findings[0].kind), (1, LabelNeverOccurs));
    assert_eq!(
        (findings[0].labels.as_slice(), findings[0].cases.len()),
        (&[3][..], 0)
    );
}

#[test]
fn labels_of_a_single_fold_are_found() {
    let findings = |fold_of_the_label: [usize; 2]| {
        let mut dataset = Dataset::new(0);
        let names = ["a", "b", "c", "d"];
        for (position, name) in names.into_iter().enumerate() {
            let has_it = fold_of_the_label.contains(&position);
            let label = labels().mapv(|label| if label == 2 && !has_it { 1 } else { label });
            dataset.image(name, &image(50 + position), IDENTITY);
            dataset.label(name, &label, IDENTITY);
            dataset.item(json!({
                "image": format!("{name}.nii.gz"), "label": format!("{name}_label.nii.gz"),
                "fold": position / 2
            }));
        }
        let root = dataset.folder.path();
        let datalist = Datalist::from_json(&dataset.datalist(), root, &[]).unwrap();
        let found = examine(&datalist.training, root, 2, |_| {}).findings;
        let found = found.findings.into_iter();
        let found = found.filter(|finding| finding.kind == LabelInOneFold);
        found.collect::<Vec<_>>()
    };
    // Cases `c` and `d` are fold 1; `a` is of fold 0.
    let found = findings([2, 3]);
    assert_eq!((found.len(), found[0].labels.as_slice()), (1, &[2][..]));
    assert!(found[0].message.contains("fold 1"), "{found:?}");
    assert_eq!(findings([0, 3]), []);
}

#[test]
fn label_maps_without_an_image_are_found_in_their_folder() {
    let mut dataset = Dataset::new(0);
    for folder in ["images", "labels"] {
        fs::create_dir(dataset.path(folder)).unwrap();
    }
    for name in ["a", "b", "unlisted"] {
        dataset.image(&format!("images/{name}"), &image(name.len()), IDENTITY);
        dataset.label(&format!("labels/{name}"), &labels(), IDENTITY);
    }
    dataset.label("labels/orphan", &labels(), IDENTITY);
    fs::write(dataset.path("labels/notes.txt"), "none").unwrap();
    for name in ["a", "b"] {
        dataset.item(json!({
            "image": format!("images/{name}.nii.gz"), "label": format!("labels/{name}_label.nii.gz")
        }));
    }
    let root = dataset.folder.path();
    let datalist = Datalist::from_json(&dataset.datalist(), root, &[]).unwrap();
    let findings = examine(&datalist.training, root, 2, |_| {})
        .findings
        .findings;
    let orphans: Vec<_> = findings
        .iter()
        .filter(|found| found.kind == LabelWithoutImage)
        .collect();
    assert_eq!(orphans.len(), 1, "{findings:?}");
    assert_eq!(orphans[0].files, ["labels/orphan_label.nii.gz"]);
    assert_eq!(orphans[0].severity, Warning);
}
