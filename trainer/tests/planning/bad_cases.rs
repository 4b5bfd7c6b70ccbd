//! Cases that cannot be used are reported and left out; the other cases are measured as if those did not exist.

use crate::dataset_on_disk::{Dataset, SHAPE, image, labels};
use serde_json::json;
use vesal_cases::datalist::Datalist;
use vesal_trainer::analyze::stats::StatsSummary;
use vesal_trainer::analyze::{Analysis, AnalyzeError, CaseAnalysisError, analyze};
use vesal_volume::Affine;

fn run(dataset: &Dataset) -> Result<Analysis, AnalyzeError> {
    let root = dataset.folder.path();
    let datalist = Datalist::from_json(&dataset.datalist(), root, &[]).unwrap();
    analyze(&datalist.training, root, 2, |_| {})
}

fn summary(dataset: &Dataset) -> StatsSummary {
    run(dataset).unwrap().summary.labeled().unwrap().clone()
}

/// The reason why the case `bad`, added to two good ones, is left out.
fn reason(add: impl FnOnce(&mut Dataset)) -> CaseAnalysisError {
    let mut dataset = Dataset::new(2);
    let alone = run(&dataset).unwrap();
    add(&mut dataset);
    let mut analysis = run(&dataset).unwrap();
    assert_eq!(
        analysis.summary, alone.summary,
        "the good cases are measured as if they were alone"
    );
    assert_eq!(analysis.excluded.len(), 1);
    let excluded = analysis.excluded.remove(0);
    assert_eq!(excluded.id, "bad");
    excluded.reason
}

#[test]
fn missing_and_unreadable_files_are_reported() {
    let missing = reason(|dataset| dataset.list("bad"));
    assert!(
        matches!(missing, CaseAnalysisError::Missing { .. }),
        "{missing}"
    );
    assert!(missing.to_string().contains("bad.nii.gz"), "{missing}");
    let garbage = reason(|dataset| {
        std::fs::write(dataset.path("bad.nii.gz"), b"no image at all").unwrap();
        dataset.label("bad", &labels(), Affine::IDENTITY);
        dataset.list("bad");
    });
    assert!(matches!(garbage, CaseAnalysisError::Image(_)), "{garbage}");
    let unlabeled = reason(|dataset| {
        dataset.image("bad", &image(0), Affine::IDENTITY);
        dataset.item(json!({"image": "bad.nii.gz"}));
    });
    assert!(matches!(unlabeled, CaseAnalysisError::NoLabel));
}

#[test]
fn image_and_label_have_to_share_a_grid() {
    let shape = reason(|dataset| {
        dataset.image("bad", &image(0), Affine::IDENTITY);
        dataset.label(
            "bad",
            &labels().slice_move(ndarray::s![.., ..9, ..]).to_owned(),
            Affine::IDENTITY,
        );
        dataset.list("bad");
    });
    let CaseAnalysisError::Shape {
        found, expected, ..
    } = shape
    else {
        panic!("{shape}")
    };
    assert_eq!((found, expected), ([12, 9, 8], SHAPE));

    let mut shifted = Affine::IDENTITY;
    shifted.0[2][3] = 1.0;
    for affine in [shifted, Affine::from_spacing([1.0, 1.0, 1.5])] {
        let place = reason(|dataset| {
            dataset.image("bad", &image(0), Affine::IDENTITY);
            dataset.label("bad", &labels(), affine);
            dataset.list("bad");
        });
        assert!(
            matches!(place, CaseAnalysisError::Place { found_mm, .. } if found_mm > 0.9),
            "{place}"
        );
    }
}

#[test]
fn labels_without_a_name_and_intensities_that_are_no_numbers_are_reported() {
    let unnamed = reason(|dataset| {
        let mut labels = labels();
        labels[[0, 0, 0]] = 7;
        labels[[0, 0, 1]] = 3;
        dataset.image("bad", &image(0), Affine::IDENTITY);
        dataset.label("bad", &labels, Affine::IDENTITY);
        dataset.list("bad");
    });
    let CaseAnalysisError::Labels {
        found, named, at, ..
    } = unnamed
    else {
        panic!("{unnamed}")
    };
    assert_eq!((found, named, at), (vec![3, 7], vec![0, 1, 2], [0, 0, 0]));

    let not_finite = reason(|dataset| {
        let mut image = image(0);
        image[[1, 1, 1]] = f32::NAN;
        image[[1, 1, 2]] = f32::INFINITY;
        dataset.image("bad", &image, Affine::IDENTITY);
        dataset.label("bad", &labels(), Affine::IDENTITY);
        dataset.list("bad");
    });
    assert!(
        matches!(
            not_finite,
            CaseAnalysisError::NonFinite {
                voxels: 2,
                at: [1, 1, 1],
                ..
            }
        ),
        "{not_finite}"
    );
}

#[test]
fn cases_with_another_number_of_channels_are_left_out() {
    let odd = reason(|dataset| {
        dataset.image("bad", &image(0), Affine::IDENTITY);
        dataset.label("bad", &labels(), Affine::IDENTITY);
        dataset
            .item(json!({"image": ["bad.nii.gz", "case_0.nii.gz"], "label": "bad_label.nii.gz"}));
    });
    assert!(
        matches!(
            odd,
            CaseAnalysisError::Channels {
                found: 2,
                expected: 1
            }
        ),
        "{odd}"
    );
}

#[test]
fn nothing_usable_is_an_error_with_the_first_reason() {
    let mut dataset = Dataset::new(0);
    dataset.list("bad");
    dataset.list("worse");
    let error = run(&dataset).unwrap_err();
    assert_eq!(
        error.to_string(),
        "none of the 2 cases can be used; the first is `bad`"
    );

    let mut dataset = Dataset::new(0);
    dataset.image("empty", &image(0), Affine::IDENTITY);
    dataset.label("empty", &labels().mapv(|_| 0), Affine::IDENTITY);
    dataset.list("empty");
    assert!(matches!(
        run(&dataset),
        Err(AnalyzeError::NoForeground { cases: 1 })
    ));
}

#[test]
fn cases_without_foreground_leave_its_figures_alone() {
    let mut dataset = Dataset::new(1);
    let alone = summary(&dataset);
    dataset.image("empty", &image(0), Affine::IDENTITY);
    dataset.label("empty", &labels().mapv(|_| 0), Affine::IDENTITY);
    dataset.list("empty");
    let both = summary(&dataset);
    assert_eq!(both.n_cases, 2);
    assert_eq!(both.image_foreground_stats, alone.image_foreground_stats);
    assert_eq!(both.label_stats.label[1], alone.label_stats.label[1]);
    assert_eq!(both.label_stats.label[0].foreground_percentage.max, 1.0);
}

#[test]
fn axes_are_measured_in_ras_and_channels_apart() {
    let mut dataset = Dataset::new(0);
    // Axes run to the left, superior and anterior; the second channel is 1000 times the first.
    let affine = Affine::from_parts(
        [[-1.0, 0.0, 0.0], [0.0, 0.0, 3.0], [0.0, 2.0, 0.0]],
        [0.0; 3],
    );
    dataset.image("a", &image(0), affine);
    dataset.image("b", &image(0).mapv(|value| 1000.0 * value), affine);
    dataset.label("a", &labels(), affine);
    dataset.item(json!({"image": ["a.nii.gz", "b.nii.gz"], "label": "a_label.nii.gz"}));
    let summary = summary(&dataset);
    assert_eq!(summary.image_stats.shape.max, [12, 8, 10]);
    assert_eq!(summary.image_stats.spacing.median, [1.0, 3.0, 2.0]);
    assert_eq!(summary.image_stats.sizemm.median, [12.0, 24.0, 20.0]);
    assert_eq!(summary.image_stats.channels.max, 2);
    let [first, second] = summary
        .image_foreground_stats
        .intensity_by_channel
        .as_slice()
    else {
        panic!()
    };
    assert!((second.mean / first.mean - 1000.0).abs() < 1e-3);
    assert!(
        (summary.image_foreground_stats.intensity.mean - (first.mean + second.mean) / 2.0).abs()
            < 1e-6
    );
}

#[test]
fn the_crop_to_voxels_above_0_takes_every_axis() {
    let mut dataset = Dataset::new(0);
    let mut image = image(0).mapv(|_| 0.0);
    image.slice_mut(ndarray::s![3..6, 2..9, 1..3]).fill(5.0);
    image[[0, 0, 0]] = -8.0;
    dataset.image("a", &image, Affine::IDENTITY);
    dataset.label("a", &labels(), Affine::IDENTITY);
    dataset.list("a");
    let stats = summary(&dataset).image_stats;
    assert_eq!(stats.cropped_shape.max, [3, 7, 2]);
    assert_eq!((stats.intensity.min, stats.intensity.max), (5.0, 5.0));
}
