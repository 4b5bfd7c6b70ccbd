//! Attributes of results besides voxels, read back with dicom-rs: UIDs, patient and study, texts, measurements,
//! refusals.

use std::collections::BTreeSet;
use std::fs;

use crate::slices::read::{case, items, number, numbers, only, places, segments, text, texts};
use crate::slices::{SENTINEL, Series, algorithm, open, options, write_all};
use dicom_dictionary_std::tags;
use ndarray::Array3;
use vesal_files::atomic::AtomicError;
use vesal_io::dicom::write::{
    AlgorithmIdentification, DicomWriteError, Moment, ResultOptions, Segment, SegmentationType,
    SegmentedMap, SourceImages, Unwritable, write_report, write_segmentation, write_structures,
};
use vesal_volume::{Affine, LabelMap};

#[test]
fn the_same_input_has_the_same_uids_and_another_has_others() {
    let (source, map, _) = case([6, 5, 4], &[1], 2);
    let (other_source, ..) = case([6, 5, 5], &[1], 2);
    let segments = segments(&[1]);
    let segmented = SegmentedMap {
        map: &map,
        segments: &segments,
        regions: false,
    };
    let folder = tempfile::tempdir().unwrap();
    let options = ResultOptions {
        overwrite: true,
        ..options()
    };
    let later = ResultOptions {
        made: Moment {
            hour: 6,
            ..options.made
        },
        ..options
    };
    let path = folder.path().join("a.dcm");
    let write = |source: &SourceImages,
                 algorithm: &AlgorithmIdentification,
                 form,
                 options: &ResultOptions| {
        write_segmentation(&path, &segmented, source, algorithm, form, options).unwrap()
    };
    let first = write(&source, &algorithm(), SegmentationType::Binary, &options);
    assert!(first.instance.starts_with("2.25.") && first.instance.len() <= 64);
    let tracking = text(
        only(&open(&path), tags::SEGMENT_SEQUENCE),
        tags::TRACKING_UID,
    );
    assert_eq!(
        write(&source, &algorithm(), SegmentationType::Binary, &later),
        first
    );
    let mut other = algorithm();
    other.digest = "5d".repeat(32);
    let mut tuned = algorithm();
    tuned.parameters = None;
    let mut colored = segments.clone();
    colored[0].color = Some([1, 2, 3]);
    let mut renamed = segments.clone();
    renamed[0].name = "another name".into();
    let of = |segments| {
        let segmented = SegmentedMap {
            segments,
            ..segmented
        };
        let (algorithm, form) = (algorithm(), SegmentationType::Binary);
        write_segmentation(&path, &segmented, &source, &algorithm, form, &options).unwrap()
    };
    let label_map = write(&source, &algorithm(), SegmentationType::LabelMap, &options);
    let report =
        |about| write_report(&path, &segmented, about, &source, &algorithm(), &options).unwrap();
    let mut all = BTreeSet::from([first.instance.clone(), first.series.clone()]);
    for reference in [
        of(&colored),
        of(&renamed),
        report(&label_map),
        label_map.clone(),
        write(&source, &other, SegmentationType::Binary, &options),
        write(&source, &tuned, SegmentationType::Binary, &options),
        write(
            &other_source,
            &algorithm(),
            SegmentationType::Binary,
            &options,
        ),
        write_structures(&path, &segmented, &source, &algorithm(), &options).unwrap(),
        report(&first),
    ] {
        assert!(all.insert(reference.instance) && all.insert(reference.series));
    }
    // Tracking UIDs are the same in all results.
    let mut report = String::new();
    let file = fs::read(&path).unwrap();
    report.extend(file.iter().map(|byte| char::from(*byte)));
    assert!(report.contains(&tracking));
}

#[test]
fn patient_and_study_are_in_the_file_and_nowhere_else() {
    let (source, map, _) = case([6, 5, 4], &[1], 2);
    assert!(!format!("{source:?} {source:#?}").contains("Sentinel"));
    let folder = tempfile::tempdir().unwrap();
    let written = write_all(folder.path(), &map, &source, &segments(&[1])).unwrap();
    for path in [
        &written.segmentation.0,
        &written.structures.0,
        &written.report.0,
    ] {
        let file = open(path);
        assert_eq!(text(&file, tags::PATIENT_NAME), SENTINEL);
        assert_eq!(text(&file, tags::PATIENT_ID), "ID-7");
        assert_eq!(text(&file, tags::ACCESSION_NUMBER), "ACCESSION");
        assert_eq!(text(&file, tags::STUDY_INSTANCE_UID), "1.2.3.1");
        assert_eq!(text(&file, tags::STUDY_DATE), "20240131");
        assert_eq!(text(&file, tags::SPECIFIC_CHARACTER_SET), "ISO_IR 100");
        // Attributes that the source lacks are written without a value.
        assert_eq!(text(&file, tags::PATIENT_BIRTH_DATE), "");
    }
}

#[test]
fn texts_of_two_character_sets_are_brought_together() {
    let mut series = Series::oblique([4, 4, 3]);
    let mut write = |set, patient: &[u8], label: &str| {
        series.character_set = set;
        series.patient = patient.to_vec();
        let source = series.source();
        let map = LabelMap {
            data: Array3::ones([4, 4, 3]),
            affine: Affine::IDENTITY,
        };
        let folder = tempfile::tempdir().unwrap();
        let written = write_all(folder.path(), &map, &source, &[Segment::named(1, label)])?;
        let file = open(&written.segmentation.0);
        let set = file.element(tags::SPECIFIC_CHARACTER_SET);
        let set = set.map_or(String::new(), |set| set.to_str().unwrap().trim().to_owned());
        let label = text(only(&file, tags::SEGMENT_SEQUENCE), tags::SEGMENT_LABEL);
        let bytes = fs::read(&written.segmentation.0).unwrap();
        Ok::<_, DicomWriteError>((set, label, bytes))
    };
    let holds = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|at| at == part);
    // Latin-1 is copied byte for byte as long as all other texts are ASCII.
    let (set, _, bytes) = write(Some("ISO_IR 100"), b"M\xfcller^", "kidney").unwrap();
    assert!(set == "ISO_IR 100" && holds(&bytes, b"M\xfcller^"));
    let (set, label, bytes) = write(Some("ISO_IR 100"), b"M\xfcller^", "Gef\u{e4}\u{df}").unwrap();
    assert_eq!(
        (set.as_str(), label.as_str()),
        ("ISO_IR 192", "Gef\u{e4}\u{df}")
    );
    assert!(holds(&bytes, "M\u{fc}ller^".as_bytes()));
    let (set, label, _) = write(None, b"Miller", "Gef\u{e4}\u{df}").unwrap();
    assert_eq!(
        (set.as_str(), label.as_str()),
        ("ISO_IR 192", "Gef\u{e4}\u{df}")
    );
    let code_extensions = Some("\\ISO 2022 IR 87");
    let japanese = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B";
    let (_, _, bytes) = write(code_extensions, japanese, "kidney").unwrap();
    assert!(holds(&bytes, japanese));
    let (set, _, bytes) = write(code_extensions, japanese, "Gef\u{e4}\u{df}").unwrap();
    assert_eq!(set, "ISO_IR 192");
    assert!(holds(&bytes, "Yamada^Tarou=山田^太郎".as_bytes()));
    for (set, name) in [
        (code_extensions, &b"Yamada^Tarou=\x1b$B;"[..]),
        (code_extensions, "Yamada=山田".as_bytes()),
        (Some("GB18030"), b"Yamada=\xff\xff"),
        (None, b"Yamada=\xe4"),
    ] {
        let refused = write(set, name, "Gef\u{e4}\u{df}");
        let error = refused.map(|(set, ..)| set).unwrap_err();
        assert!(matches!(
            &error,
            DicomWriteError::Write {
                reason: Unwritable::CharacterSet { .. },
                ..
            }
        ));
        assert!(error.hint().is_some() && !error.to_string().contains("Yamada"));
    }
}

#[test]
fn a_name_as_long_as_images_may_have_is_copied() {
    let mut series = Series::oblique([4, 4, 3]);
    series.patient = [b"A^".as_slice(), &[b'B'; 65_532]].concat();
    let map = LabelMap {
        data: Array3::ones([4, 4, 3]),
        affine: Affine::IDENTITY,
    };
    let folder = tempfile::tempdir().unwrap();
    let source = series.source();
    let written = write_all(folder.path(), &map, &source, &[Segment::named(1, "kidney")]).unwrap();
    let file = open(&written.segmentation.0);
    assert_eq!(text(&file, tags::PATIENT_NAME).len(), 65_534);
}

#[test]
fn reports_hold_the_volumes_and_refer_to_the_segments() {
    let values = [2, 1];
    let (source, map, _) = case([13, 11, 4], &values, 8);
    let folder = tempfile::tempdir().unwrap();
    let written = write_all(folder.path(), &map, &source, &segments(&values)).unwrap();
    let file = open(&written.report.0);
    let measurements = items(&file, tags::CONTENT_SEQUENCE).last().unwrap();
    let groups = items(measurements, tags::CONTENT_SEQUENCE);
    assert_eq!(groups.len(), 2);
    for (index, (group, value)) in groups.iter().zip(values).enumerate() {
        let content = items(group, tags::CONTENT_SEQUENCE);
        let of = |kind: &str| {
            let mut items = content.iter();
            items
                .find(|item| text(item, tags::VALUE_TYPE) == kind)
                .unwrap()
        };
        let measured = only(of("NUM"), tags::MEASURED_VALUE_SEQUENCE);
        let voxels = places(&map.data, |found| found == value).len();
        let expected = voxels as f64 * 0.75 * 1.25 * 2.5 / 1000.0;
        let found = numbers(measured, tags::NUMERIC_VALUE)[0];
        assert!(
            (found - expected).abs() < 1e-6,
            "{found} ml, expected {expected}"
        );
        let segment = only(of("IMAGE"), tags::REFERENCED_SOP_SEQUENCE);
        assert_eq!(number(segment, tags::REFERENCED_SEGMENT_NUMBER), index + 1);
        assert_eq!(
            text(segment, tags::REFERENCED_SOP_INSTANCE_UID),
            written.segmentation.1.instance
        );
    }
    let mut report = String::new();
    texts(&file, &mut report);
    assert!(report.contains(&algorithm().digest) && report.contains("organs"));
}

#[test]
fn what_cannot_be_written_is_told_before_anything_is() {
    let (source, map, _) = case([6, 5, 4], &[1, 2], 2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dcm");
    let write = |map: &LabelMap, segments: &[Segment], algorithm: &AlgorithmIdentification| {
        let segmented = SegmentedMap {
            map,
            segments,
            regions: false,
        };
        let binary = SegmentationType::Binary;
        match write_segmentation(&path, &segmented, &source, algorithm, binary, &options()) {
            Err(DicomWriteError::Write { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    };
    let plain = algorithm();
    let both = segments(&[1, 2]);
    assert!(matches!(
        write(&map, &both[..1], &plain),
        Unwritable::Undescribed { value: 2, voxels } if voxels > 0
    ));
    assert_eq!(write(&map, &[], &plain), Unwritable::NoSegments);
    assert!(matches!(
        write(&map, &[both[0].clone(), both[0].clone()], &plain),
        Unwritable::Duplicate { value: 1, .. }
    ));
    assert!(matches!(
        write(&map, &segments(&[0, 1, 2]), &plain),
        Unwritable::Value { value: 0, .. }
    ));
    let mut unnamed = algorithm();
    unnamed.name.clear();
    assert!(matches!(
        write(&map, &both, &unnamed),
        Unwritable::Text { .. }
    ));
    let mut long = both.clone();
    long[0].name = "x".repeat(65);
    assert!(matches!(
        write(&map, &long, &plain),
        Unwritable::Text { .. }
    ));
    let shear = |linear| LabelMap {
        data: map.data.clone(),
        affine: Affine::from_parts(linear, [0.0; 3]),
    };
    let skewed = shear([[1.0, 0.3, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    assert!(matches!(
        write(&skewed, &both, &plain),
        Unwritable::Skewed { .. }
    ));
    let sheared = shear([[1.0, 0.0, 0.0], [0.0, 1.0, 0.4], [0.0, 0.0, 1.0]]);
    assert!(matches!(
        write(&sheared, &both, &plain),
        Unwritable::Sheared { .. }
    ));
    let flat = shear([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]);
    assert!(matches!(
        write(&flat, &both, &plain),
        Unwritable::Geometry(_)
    ));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    fs::write(&path, "kept").unwrap();
    let segmented = SegmentedMap {
        map: &map,
        segments: &both,
        regions: false,
    };
    let exists = write_segmentation(
        &path,
        &segmented,
        &source,
        &plain,
        SegmentationType::Binary,
        &options(),
    );
    assert!(matches!(
        exists,
        Err(DicomWriteError::Output(AtomicError::Exists { .. }))
    ));
    assert_eq!(fs::read(&path).unwrap(), b"kept");
}
