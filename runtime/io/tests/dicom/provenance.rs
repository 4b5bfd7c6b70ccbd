//! Provenance of results: a UID for each content, patient and study of the source alone, and the mark of incomplete
//! input.

use std::collections::BTreeSet;
use std::path::Path;

use crate::slices::read::{items, only, segments, text, texts};
use crate::slices::{self, Series, Written, algorithm, content, open, options, source, write_all};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use ndarray::Array3;
use vesal_io::dicom::write::{
    ResultOptions, SegmentationType, SegmentedMap, SourceImages, UidKey, write_segmentation,
};
use vesal_io::dicom::{Assessment, DicomError, Policy, Stack, patients, scan};
use vesal_io::image::ReadLimits;
use vesal_volume::{Geometry, LabelMap};

const SHAPE: [u16; 3] = [6, 5, 4];

fn map(grid: Geometry) -> LabelMap {
    LabelMap {
        data: Array3::ones(grid.shape),
        affine: grid.affine,
    }
}

fn assessed(folder: &Path, policy: Policy) -> (Stack, Assessment) {
    let stack = scan(&[folder]).unwrap().stacks.remove(0);
    let assessment = stack.assess(policy).unwrap();
    (stack, assessment)
}

/// A series that was saved, and the source that it is.
fn saved(series: &Series) -> (Stack, Assessment, SourceImages) {
    let folder = tempfile::tempdir().unwrap();
    series.save(folder.path());
    let (stack, assessment) = assessed(folder.path(), Policy::Resample);
    let source = source(folder.path(), Policy::Resample);
    (stack, assessment, source)
}

/// UIDs of a segmentation: instance, series, what is followed up, frame of reference and study.
fn uids(source: &SourceImages, map: &LabelMap, options: &ResultOptions) -> [String; 5] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dcm");
    let segments = segments(&[1]);
    let segmented = SegmentedMap {
        map,
        segments: &segments,
        regions: false,
    };
    let written = write_segmentation(
        &path,
        &segmented,
        source,
        &algorithm(),
        SegmentationType::Binary,
        options,
    );
    let reference = written.unwrap();
    let file = open(&path);
    let tracking = text(only(&file, tags::SEGMENT_SEQUENCE), tags::TRACKING_UID);
    [
        reference.instance,
        reference.series,
        tracking,
        text(&file, tags::FRAME_OF_REFERENCE_UID),
        text(&file, tags::STUDY_INSTANCE_UID),
    ]
}

#[test]
fn what_is_sent_again_with_corrections_under_the_same_uids_gives_other_results() {
    let series = Series::oblique(SHAPE);
    let (_, assessment, source) = saved(&series);
    let map = map(assessment.geometry().unwrap());
    let first = uids(&source, &map, &options());
    // The same series, from another folder.
    assert_eq!(uids(&saved(&series).2, &map, &options()), first);
    type Correction = fn(&mut Series);
    let corrected: [(&str, Correction); 6] = [
        ("patient", |series| {
            series.patient = b"Corrected^Name".to_vec()
        }),
        ("study", |series| series.accession = "ANOTHER"),
        ("pixels", |series| series.brightness = 1),
        ("character set", |series| {
            series.character_set = Some("ISO_IR 192")
        }),
        ("place", |series| series.first[2] += 0.5),
        ("spacing", |series| series.spacing[0] += 0.01),
    ];
    let mut seen: BTreeSet<String> = first[..3].iter().cloned().collect();
    for (what, correct) in corrected {
        let mut series = series.clone();
        correct(&mut series);
        let again = uids(&saved(&series).2, &map, &options());
        for uid in &again[..3] {
            assert!(seen.insert(uid.clone()), "{what}");
        }
        // Study and frame of reference are the source's.
        assert_eq!(again[3..], first[3..], "{what}");
    }
    // Another voxel is another result.
    let mut other = map.clone();
    other.data[[1, 2, 3]] = 0;
    for uid in &uids(&source, &other, &options())[..3] {
        assert!(seen.insert(uid.clone()));
    }
    // One pixel of one slice in the middle counts as well.
    let folder = tempfile::tempdir().unwrap();
    series.save(folder.path());
    let path = folder.path().join("002.dcm");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let source = slices::source(folder.path(), Policy::Resample);
    for uid in &uids(&source, &map, &options())[..3] {
        assert!(seen.insert(uid.clone()));
    }
}

#[test]
fn the_depth_of_a_lone_slice_counts() {
    let mut series = Series::oblique([6, 5, 1]);
    series.places = vec![0.0];
    let of = |change: &dyn Fn(&mut Vec<u8>)| {
        let folder = tempfile::tempdir().unwrap();
        series.save(folder.path());
        let path = folder.path().join("001.dcm");
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        content(&assessed(folder.path(), Policy::Strict).1)
    };
    let plain = of(&|_| {});
    assert!(plain == of(&|_| {}));
    let thicker = of(&|bytes| {
        let element = b"\x18\0\x50\0DS\x04\x002.5";
        let at = bytes.windows(element.len()).position(|at| at == element);
        bytes[at.unwrap() + 8] = b'3';
    });
    assert!(plain != thicker);
}

#[test]
fn a_key_makes_all_uids_others_that_only_its_owner_can_make() {
    let (_, assessment, source) = saved(&Series::oblique(SHAPE));
    let map = map(assessment.geometry().unwrap());
    let with = |key: Option<&[u8]>| {
        let key = key.map(|key| UidKey::new(key).unwrap());
        uids(&source, &map, &ResultOptions { key, ..options() })
    };
    let (open, one, other) = (with(None), with(Some(&[1; 32])), with(Some(&[2; 32])));
    assert_eq!(one, with(Some(&[1; 32])));
    for part in 0..3 {
        assert!(open[part] != one[part] && one[part] != other[part] && open[part] != other[part]);
    }
    assert_eq!(open[3..], one[3..]);
    // A frame of reference that the images do not state is made from the series' UID.
    let mut series = Series::oblique(SHAPE);
    series.frame_of_reference = "";
    let (.., source) = saved(&series);
    let frame = |key| uids(&source, &map, &ResultOptions { key, ..options() })[3].clone();
    assert_ne!(frame(None), frame(UidKey::new(&[1; 32])));
}

/// Attributes of all kinds of results besides voxels.
struct Said {
    written: Written,
    _folder: tempfile::TempDir,
}

impl Said {
    fn about(source: &SourceImages, map: &LabelMap) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let written = write_all(folder.path(), map, source, &segments(&[1])).unwrap();
        Self {
            written,
            _folder: folder,
        }
    }

    fn parameters(&self) -> [String; 3] {
        let seg = open(&self.written.segmentation.0);
        let of = |item, sequence| text(only(item, sequence), tags::ALGORITHM_PARAMETERS);
        let segment = only(&seg, tags::SEGMENT_SEQUENCE);
        let structures = open(&self.written.structures.0);
        let roi = only(&structures, tags::STRUCTURE_SET_ROI_SEQUENCE);
        let mut report = String::new();
        texts(&open(&self.written.report.0), &mut report);
        [
            of(
                segment,
                tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE,
            ),
            of(roi, tags::ROI_DERIVATION_ALGORITHM_IDENTIFICATION_SEQUENCE),
            report,
        ]
    }

    fn seg(&self, tag: Tag) -> String {
        text(&open(&self.written.segmentation.0), tag)
    }

    fn structures(&self, tag: Tag) -> String {
        text(&open(&self.written.structures.0), tag)
    }

    fn report(&self, tag: Tag) -> String {
        text(&open(&self.written.report.0), tag)
    }
}

#[test]
fn results_of_what_may_be_incomplete_say_so() {
    let (_, assessment, source) = saved(&Series::oblique(SHAPE));
    let map = map(assessment.geometry().unwrap());
    let plain = Said::about(&source, &map);
    assert_eq!(plain.report(tags::PRELIMINARY_FLAG), "FINAL");
    assert_eq!(
        plain.seg(tags::CONTENT_DESCRIPTION),
        "geometry ok: on the planes of the source"
    );
    for parameters in plain.parameters() {
        assert!(parameters.contains("geometry ok"), "{parameters}");
        assert!(parameters.contains("overlap 0.5"), "{parameters}");
        assert!(parameters.contains(&algorithm().digest), "{parameters}");
        assert!(!parameters.contains("lack"), "{parameters}");
    }
    let marked = Said::about(&source.clone().incomplete(), &map);
    assert_eq!(marked.report(tags::PRELIMINARY_FLAG), "PRELIMINARY");
    assert_eq!(marked.structures(tags::APPROVAL_STATUS), "UNAPPROVED");
    let descriptions = [
        marked.seg(tags::CONTENT_DESCRIPTION),
        marked.seg(tags::SERIES_DESCRIPTION),
        marked.structures(tags::STRUCTURE_SET_DESCRIPTION),
        marked.structures(tags::SERIES_DESCRIPTION),
        marked.report(tags::SERIES_DESCRIPTION),
    ];
    for text in marked.parameters().iter().chain(&descriptions) {
        assert!(text.contains("may lack images"), "{text}");
    }
    // A mark makes another result.
    assert_ne!(
        marked.written.segmentation.1.instance,
        plain.written.segmentation.1.instance
    );
}

/// A second series of the patient: `change` makes it another.
fn further(change: impl FnOnce(&mut Series)) -> Series {
    let mut series = Series::oblique(SHAPE);
    series.series = "1.2.3.8";
    series.brightness = 9;
    change(&mut series);
    series
}

fn and(source: SourceImages, series: &Series, policy: Policy) -> Result<SourceImages, DicomError> {
    let folder = tempfile::tempdir().unwrap();
    series.save(folder.path());
    let (_, assessment) = assessed(folder.path(), policy);
    source.and(&assessment, content(&assessment))
}

#[test]
fn the_worst_grade_of_all_channels_is_in_every_output() {
    let (_, assessment, source) = saved(&Series::oblique(SHAPE));
    let map = map(assessment.geometry().unwrap());
    let gap = further(|series| {
        series.places = vec![0.0, 1.0, 2.0, 4.0, 5.0];
    });
    let both = and(source.clone(), &gap, Policy::Resample).unwrap();
    let said = Said::about(&both, &map);
    let description = said.seg(tags::CONTENT_DESCRIPTION);
    assert!(
        description.starts_with("geometry resampled"),
        "{description}"
    );
    for parameters in said.parameters() {
        assert!(parameters.contains("geometry resampled"), "{parameters}");
    }
    // The grid is still that of the first series, whose frames are referred to.
    let file = open(&said.written.segmentation.0);
    for frame in items(&file, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE) {
        only(frame, tags::DERIVATION_IMAGE_SEQUENCE);
    }
    let elsewhere = further(|series| {
        series.frame_of_reference = "1.2.3.77";
        series.places = vec![0.0, 1.0, 2.0, 4.0, 5.0];
    });
    let all = and(source.clone(), &elsewhere, Policy::Resample).unwrap();
    let said = Said::about(&all.incomplete(), &map);
    let description = said.seg(tags::CONTENT_DESCRIPTION);
    assert_eq!(
        description,
        "may lack images; geometry resampled; frames of reference differ"
    );
    let plain = and(source, &further(|_| {}), Policy::Strict).unwrap();
    let said = Said::about(&plain, &map);
    assert_eq!(
        said.seg(tags::CONTENT_DESCRIPTION),
        "geometry ok: on the planes of the source"
    );
}

#[test]
fn no_result_is_made_of_two_patients() {
    let (stack, _, source) = saved(&Series::oblique(SHAPE));
    let other = further(|series| series.patient = b"Other^Patient".to_vec());
    let error = and(source.clone(), &other, Policy::Strict).unwrap_err();
    assert_eq!(
        error.to_string(),
        "series 1.2.3.8 names another patient than series 1.2.3.2"
    );
    assert!(error.hint().is_some());
    let (same, ..) = saved(&further(|_| {}));
    let (other, ..) = saved(&other);
    assert_eq!(patients([&stack, &same]), 1);
    assert_eq!(patients([&stack, &same, &other]), 2);
    // The header that is copied is that of the images that were read.
    let folder = tempfile::tempdir().unwrap();
    let series = Series::oblique(SHAPE);
    series.save(folder.path());
    let (_, assessment) = assessed(folder.path(), Policy::Strict);
    let (_, content) = assessment
        .read_with_content(&ReadLimits::default())
        .unwrap();
    std::fs::remove_dir_all(folder.path()).unwrap();
    std::fs::create_dir(folder.path()).unwrap();
    let mut replaced = series;
    replaced.patient = b"Other^Patient".to_vec();
    replaced.save(folder.path());
    assert!(matches!(
        SourceImages::of(&assessment, content),
        Err(DicomError::OtherPatient { .. })
    ));
}
