//! Optional measures, images without labels, and real data that are known to be incomplete.

use crate::shared;
use std::collections::BTreeSet;

use crate::dataset_on_disk::{Dataset, image, labels, text};
use crate::nrrd_files::Nrrd;
use serde_json::{Value, json};
use vesal_cases::datalist::Datalist;
use vesal_trainer::analyze::findings::FindingKind;
use vesal_trainer::analyze::stats::DatasetSummary;
use vesal_trainer::analyze::{Analysis, AnalysisOptions, HistogramOptions, analyze, examine};
use vesal_trainer::work_dir::{Fault, Request, WorkDir, WorkError};
use vesal_volume::Affine;

fn run(dataset: &Dataset, options: impl Into<AnalysisOptions>) -> Analysis {
    let root = dataset.folder.path();
    let datalist = Datalist::from_json(&dataset.datalist(), root, &[]).unwrap();
    analyze(&datalist.training, root, options, |_| {}).unwrap()
}

/// A dataset with labels 2 and 5: two boxes that touch at a corner, in an image of axes P, I, L, and a separate box.
fn far_labels() -> Dataset {
    let mut dataset = Dataset::new(0);
    let affine = Affine::from_parts(
        [[0.0, 0.0, -1.0], [-2.0, 0.0, 0.0], [0.0, -3.0, 0.0]],
        [0.0; 3],
    );
    for (name, second) in [("a", 5), ("b", 2)] {
        let mut map = labels().mapv(|_| 0);
        map.slice_mut(ndarray::s![0..3, 0..2, 0..1]).fill(2);
        map.slice_mut(ndarray::s![3..5, 2..4, 1..3]).fill(2);
        map.slice_mut(ndarray::s![9..12, 8..10, 7..8]).fill(second);
        dataset.image(name, &image(name.len()), affine);
        dataset.label(name, &map, affine);
        dataset.list(name);
    }
    dataset
}

#[test]
fn components_are_counted_by_label_with_boxes_in_ras() {
    let options = AnalysisOptions {
        labels: Some(BTreeSet::from([2, 5])),
        components: true,
        ..AnalysisOptions::default()
    };
    let analysis = run(&far_labels(), options);
    let case = analysis.cases[0].label_stats.as_ref().unwrap();
    assert_eq!(case.labels, [0, 2, 5]);
    let counts: Vec<_> = case.label.iter().map(|label| label.ncomponents).collect();
    assert_eq!(counts, [Some(1), Some(1), Some(1)]);
    // 5×4×3 voxels along P, I and L are 3×5×4 along R, A and S.
    assert_eq!(case.label[1].shape, Some(vec![[3, 5, 4]]));
    let second = analysis.cases[1].label_stats.as_ref().unwrap();
    assert_eq!(
        (second.labels.as_slice(), second.label[1].ncomponents),
        (&[0, 2][..], Some(2))
    );

    let summary = &analysis.summary.labeled().unwrap().label_stats;
    assert_eq!(summary.labels, [0, 2, 5]);
    let components = summary.label[1].ncomponents.as_ref().unwrap();
    assert_eq!(
        (components.min, components.max, components.mean),
        (1, 2, 1.5)
    );
    assert_eq!(summary.label[1].shape.as_ref().unwrap().max, [3, 5, 4]);
    // Labels are averaged over the cases where they occur, by value and not by position in the list.
    let share = |map: f64| map / 960.0;
    assert_eq!(summary.label[2].foreground_percentage.mean, share(6.0));
    assert_eq!(summary.label[1].foreground_percentage.max, share(20.0));
    let plain = run(&far_labels(), 5);
    assert_eq!(
        plain.summary.labeled().unwrap().label_stats.label[1].ncomponents,
        None
    );
}

#[test]
fn images_and_labels_in_nrrd_are_measured_as_in_nifti() {
    let dataset = Dataset::new(2);
    let mut other = Dataset::new(0);
    for case in ["case_0", "case_1"] {
        for kind in ["", "_label"] {
            let name = format!("{case}{kind}");
            let volume =
                vesal_io::image::read_volume(dataset.path(&format!("{name}.nii.gz"))).unwrap();
            let made = Nrrd::floats(
                volume.geometry().shape,
                volume.affine.linear(),
                volume.affine.origin(),
                volume.data.t().iter().copied(),
            );
            std::fs::write(other.path(&format!("{name}.nrrd")), made.gzip().attached()).unwrap();
        }
        other.item(json!({
            "image": format!("{case}.nrrd"), "label": format!("{case}_label.nrrd")
        }));
    }
    let (found, expected) = (run(&other, 5), run(&dataset, 5));
    assert!(found.excluded.is_empty());
    assert_eq!(found.cases[0].case, "case_0");
    for (found, expected) in found.cases.iter().zip(&expected.cases) {
        assert_eq!(found.image_stats, expected.image_stats);
        assert_eq!(found.label_stats, expected.label_stats);
    }
}

#[test]
fn histograms_are_counted_per_channel_and_added_up() {
    let mut dataset = Dataset::new(0);
    for name in ["a", "b"] {
        dataset.image(name, &image(0), Affine::IDENTITY);
        dataset.image(
            &format!("{name}2"),
            &image(0).mapv(|value| -value),
            Affine::IDENTITY,
        );
        dataset.label(name, &labels(), Affine::IDENTITY);
        dataset.item(json!({
            "image": [format!("{name}.nii.gz"), format!("{name}2.nii.gz")], "label": format!("{name}_label.nii.gz")
        }));
    }
    let options = AnalysisOptions {
        histogram: Some(HistogramOptions::new(4, &[0.0, 400.0, -800.0, 0.0]).unwrap()),
        ..AnalysisOptions::from(2)
    };
    let analysis = run(&dataset, options);
    let case = analysis.cases[0].image_histogram.as_ref().unwrap();
    // Values 1 + x + 10 y + 100 z: slice z holds 1 + 100 z to 102 + 100 z.
    let below = |limit: f32| image(0).iter().filter(|&&value| value < limit).count() as u64;
    assert_eq!(case[0].counts[0], below(100.0));
    assert_eq!(
        case[0].counts.iter().sum::<u64>(),
        image(0).iter().filter(|&&value| value <= 400.0).count() as u64
    );
    assert_eq!(case[1].bin_edges, [-800.0, -600.0, -400.0, -200.0, 0.0]);
    assert_eq!(
        case[1].counts[3],
        image(0).iter().filter(|&&value| value <= 200.0).count() as u64
    );
    let all = &analysis
        .summary
        .labeled()
        .unwrap()
        .image_histogram
        .as_ref()
        .unwrap()
        .histogram;
    assert_eq!(all[1].counts[3], 2 * case[1].counts[3]);
    let plot = &analysis.cases[0].intensity_histogram;
    assert_eq!((plot.len(), plot[0].counts.len()), (2, 64));
    let under_labels = labels().iter().filter(|&&label| label > 0).count() as u64;
    let counted: u64 = plot[0].counts.iter().sum();
    assert!(
        counted <= under_labels && counted > under_labels * 9 / 10,
        "{counted}"
    );
}

#[test]
fn images_without_labels_are_measured_and_not_planned_for() {
    let mut dataset = Dataset::new(0);
    for index in 0..4 {
        let name = format!("case_{index}");
        dataset.image(&name, &image(index), Affine::IDENTITY);
        dataset.item(json!({"image": format!("{name}.nii.gz")}));
    }
    let analysis = run(&dataset, 2);
    assert!(
        analysis.findings.findings.is_empty(),
        "{:?}",
        analysis.findings
    );
    let DatasetSummary::ImagesOnly(summary) = &analysis.summary else {
        panic!("{:?}", analysis.summary)
    };
    assert_eq!(
        (summary.n_cases, summary.image_stats.intensity.max),
        (4, 805.0)
    );
    assert_eq!(analysis.cases[0].intensity_histogram.len(), 1);

    let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
    let path = folder.path().join("work");
    let request = Request {
        input: Some(&task),
        folds: Some(2),
        ..Request::default()
    };
    let mut work = WorkDir::prepare(&path, &request).unwrap();
    work.analyze(false, |_| {}).unwrap();
    let written = text(&path.join("datastats.yaml"));
    assert!(
        written.contains("image_stats:") && !written.contains("label_stats"),
        "{written}"
    );
    let error = work.plan(false).unwrap_err();
    assert!(matches!(error, WorkError::NoLabels), "{error}");
    assert_eq!(error.fault(), Fault::Input);
    assert!(error.hint().unwrap().contains("\"label\""));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let written = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let mut dataset = Dataset::new(7);
        dataset.list("missing");
        dataset.item(json!({"image": "case_0.nii.gz", "label": "case_1_label.nii.gz"}));
        let analysis = pool.install(|| run(&dataset, 3));
        let findings = serde_json::to_string(&analysis.findings).unwrap();
        (
            serde_yaml_ng::to_string(&analysis.cases).unwrap(),
            findings,
            analysis.summary,
        )
    };
    assert_eq!(written(1), written(4));
}

#[test]
fn findings_are_kept_in_the_work_directory_even_where_nothing_is_usable() {
    let mut dataset = Dataset::new(0);
    dataset.list("bad");
    dataset.list("worse");
    let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
    let request = Request {
        input: Some(&task),
        folds: Some(2),
        ..Request::default()
    };
    let mut work = WorkDir::prepare(&folder.path().join("work"), &request).unwrap();
    assert!(matches!(
        work.findings(),
        Err(WorkError::StageMissing { .. })
    ));
    assert!(work.analyze(false, |_| {}).is_err());
    let findings = work.findings().unwrap();
    assert_eq!(
        (
            findings.n_cases,
            findings.n_excluded,
            findings.findings.len()
        ),
        (2, 2, 2)
    );
    let json: Value = serde_json::from_str(&text(&work.findings_path())).unwrap();
    assert_eq!(
        (&json["format"], &json["format_version"]),
        (&"vesal-findings".into(), &1.into())
    );
    assert_eq!(json["findings"][0]["kind"], "missing_file");
}

#[test]
fn incomplete_real_cases_are_each_reported() {
    let Some(root) = shared::find("data/hippocampus") else {
        return;
    };
    let list = std::fs::read(root.join("datalist.json")).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let mut items: Vec<Value> = list["training"].as_array().unwrap()[..8].to_vec();
    let (image, label) = (
        |number: &str| format!("traps/images/hippocampus_{number}.nii.gz"),
        |number: &str| format!("traps/labels/hippocampus_{number}.nii.gz"),
    );
    items.push(json!({"image": image("118"), "fold": 0}));
    items.push(json!({"image": image("010"), "label": label("010"), "fold": 1}));
    items.push(json!({"label": label("281"), "fold": 2}));
    let other = list["training"][20]["image"].clone();
    items.push(json!({"image": other, "label": label("281"), "fold": 3}));
    let datalist = json!({ "training": items }).to_string();
    let datalist = Datalist::from_json(datalist.as_bytes(), &root, &[]).unwrap();
    let examination = examine(&datalist.training, &root, 2, |_| {});
    let errors: Vec<_> = examination
        .findings
        .findings
        .iter()
        .take_while(|finding| finding.severity == vesal_trainer::analyze::findings::Severity::Error)
        .map(|finding| (finding.kind, finding.cases[0].clone()))
        .collect();
    let expected = [
        (
            FindingKind::ImageWithoutLabel,
            datalist.training[8].id.clone(),
        ),
        (FindingKind::MissingFile, datalist.training[9].id.clone()),
        (
            FindingKind::LabelWithoutImage,
            datalist.training[10].id.clone(),
        ),
        (FindingKind::ShapeMismatch, datalist.training[11].id.clone()),
    ];
    assert_eq!(errors, expected);
    let analysis = examination.summarize().unwrap();
    let kept: Vec<_> = analysis.cases.iter().map(|case| &case.case).collect();
    let good: Vec<_> = datalist.training[..8].iter().map(|case| &case.id).collect();
    assert_eq!(kept, good);
}
