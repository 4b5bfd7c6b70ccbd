//! Voxels and contours of results, read back with dicom-rs: at their positions, on any grid.

use std::collections::BTreeSet;

use crate::slices::read::{
    ORDERS, binary_voxels, case, items, label_map_values, number, numbers, only, places, segments,
    text, texts, turned,
};
use crate::slices::{ENHANCED_CT, Series, algorithm, open, options, source, write_all};
use dicom_dictionary_std::tags;
use ndarray::Array3;
use vesal_io::dicom::write::{
    DicomWriteError, ResultOptions, Segment, SegmentationType, SegmentedMap, Unwritable,
    write_segmentation,
};
use vesal_io::dicom::{Policy, read_structures};
use vesal_volume::{Affine, LabelMap};

#[test]
fn voxels_are_at_their_places_in_every_order_and_direction_of_axes() {
    let values = [3, 1, 700];
    let (source, upright, instances) = case([7, 5, 6], &values, 5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seg.dcm");
    let options = ResultOptions {
        overwrite: true,
        ..options()
    };
    let segments = segments(&values);
    for order in ORDERS {
        for flips in 0..8 {
            let map = turned(
                &upright,
                order,
                [flips & 1 > 0, flips & 2 > 0, flips & 4 > 0],
            );
            let segmented = SegmentedMap {
                map: &map,
                segments: &segments,
                regions: false,
            };
            let write = |form| {
                write_segmentation(&path, &segmented, &source, &algorithm(), form, &options)
                    .unwrap();
                open(&path)
            };
            let file = write(SegmentationType::Binary);
            assert_eq!(number(&file, tags::COLUMNS), 7);
            let found = binary_voxels(&file, &map);
            for (index, value) in values.into_iter().enumerate() {
                let expected = places(&map.data, |found| found == value);
                assert_eq!(found[&(index as u16 + 1)], expected);
            }
            // For any order of the map's axes, planes are those of the source and refer to them.
            for frame in items(&file, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE) {
                let derivation = only(frame, tags::DERIVATION_IMAGE_SEQUENCE);
                let image = only(derivation, tags::SOURCE_IMAGE_SEQUENCE);
                assert_eq!(text(image, tags::SPATIAL_LOCATIONS_PRESERVED), "YES");
                let position = only(frame, tags::PLANE_POSITION_SEQUENCE);
                let position = numbers(position, tags::IMAGE_POSITION_PATIENT);
                let series = Series::oblique([7, 5, 6]);
                let plane = (0..6)
                    .find(|plane| {
                        let at = series.first[2] + f64::from(*plane) * series.step[2];
                        (at - position[2]).abs() < 1e-6
                    })
                    .unwrap();
                assert_eq!(
                    text(image, tags::REFERENCED_SOP_INSTANCE_UID),
                    instances[plane as usize]
                );
            }
            assert_eq!(
                label_map_values(&write(SegmentationType::LabelMap), &map),
                map.data
            );
        }
    }
}

#[test]
fn grids_of_their_own_refer_to_the_whole_series() {
    let (source, map, instances) = case([9, 8, 4], &[1, 2], 9);
    // Another grid: voxels of half the size, turned against the source and perpendicular all the same.
    let (sin, cos) = 0.1_f64.sin_cos();
    let map = LabelMap {
        affine: map.affine.compose(&Affine::from_parts(
            [
                [0.5 * cos, -0.5 * sin * 0.75 / 1.25, 0.0],
                [0.5 * sin * 1.25 / 0.75, 0.5 * cos, 0.0],
                [0.0, 0.0, 0.7],
            ],
            [0.3, 0.2, 0.1],
        )),
        ..map
    };
    let segments = segments(&[1, 2]);
    let segmented = SegmentedMap {
        map: &map,
        segments: &segments,
        regions: false,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seg.dcm");
    let written = write_segmentation(
        &path,
        &segmented,
        &source,
        &algorithm(),
        SegmentationType::Binary,
        &options(),
    );
    written.unwrap();
    let file = open(&path);
    let found = binary_voxels(&file, &map);
    for value in [1, 2] {
        assert_eq!(found[&value], places(&map.data, |found| found == value));
    }
    let shared = only(&file, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let derivation = only(shared, tags::DERIVATION_IMAGE_SEQUENCE);
    let images = items(derivation, tags::SOURCE_IMAGE_SEQUENCE);
    let referenced: Vec<String> = images
        .iter()
        .map(|image| text(image, tags::REFERENCED_SOP_INSTANCE_UID))
        .collect();
    assert_eq!(referenced, instances);
    for image in images {
        assert_eq!(text(image, tags::SPATIAL_LOCATIONS_PRESERVED), "NO");
    }
    let frame = &items(&file, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)[0];
    assert!(frame.element(tags::DERIVATION_IMAGE_SEQUENCE).is_err());
}

#[test]
fn resampled_series_are_told_of() {
    let mut series = Series::oblique([6, 5, 7]);
    series.places.remove(3);
    let folder = tempfile::tempdir().unwrap();
    series.save(folder.path());
    let source = source(folder.path(), Policy::Resample);
    let scan = vesal_io::dicom::scan(&[folder.path()]).unwrap();
    let grid = scan.stacks[0]
        .assess(Policy::Resample)
        .unwrap()
        .geometry()
        .unwrap();
    let map = LabelMap {
        data: Array3::ones(grid.shape),
        affine: grid.affine,
    };
    let written = write_all(folder.path(), &map, &source, &segments(&[1])).unwrap();
    let file = open(&written.segmentation.0);
    assert!(text(&file, tags::CONTENT_DESCRIPTION).contains("resampled"));
    let shared = only(&file, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let derivation = only(shared, tags::DERIVATION_IMAGE_SEQUENCE);
    assert_eq!(items(derivation, tags::SOURCE_IMAGE_SEQUENCE).len(), 6);
    let structures = open(&written.structures.0);
    assert!(text(&structures, tags::STRUCTURE_SET_DESCRIPTION).contains("resampled"));
    let contours = only(&structures, tags::ROI_CONTOUR_SEQUENCE);
    for contour in items(contours, tags::CONTOUR_SEQUENCE) {
        assert!(contour.element(tags::CONTOUR_IMAGE_SEQUENCE).is_err());
    }
    let mut report = String::new();
    texts(&open(&written.report.0), &mut report);
    assert!(report.contains("resampled"));
}

#[test]
fn regions_may_overlap() {
    let (source, map, _) = case([11, 7, 5], &[1, 2, 3, 6, 7], 3);
    let segments: Vec<Segment> = [4, 1, 2]
        .map(|bit| Segment::named(bit, format!("{bit}")))
        .into();
    let regions = SegmentedMap {
        map: &map,
        segments: &segments,
        regions: true,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seg.dcm");
    let (algorithm, options) = (algorithm(), options());
    let refused = write_segmentation(
        &path,
        &regions,
        &source,
        &algorithm,
        SegmentationType::LabelMap,
        &options,
    );
    assert!(matches!(
        refused,
        Err(DicomWriteError::Write {
            reason: Unwritable::Overlap,
            ..
        })
    ));
    write_segmentation(
        &path,
        &regions,
        &source,
        &algorithm,
        SegmentationType::Binary,
        &options,
    )
    .unwrap();
    let found = binary_voxels(&open(&path), &map);
    for (index, bit) in [4, 1, 2].into_iter().enumerate() {
        assert_eq!(
            found[&(index as u16 + 1)],
            places(&map.data, |bits| bits & bit != 0)
        );
    }
}

#[test]
fn a_segmentation_of_nothing_is_one() {
    let (source, mut map, _) = case([6, 4, 3], &[1], 1);
    map.data.fill(0);
    let folder = tempfile::tempdir().unwrap();
    let written = write_all(folder.path(), &map, &source, &segments(&[1, 2])).unwrap();
    let file = open(&written.segmentation.0);
    assert!(number(&file, tags::NUMBER_OF_FRAMES) >= 1);
    assert!(binary_voxels(&file, &map).is_empty());
    assert_eq!(
        items(&open(&written.structures.0), tags::ROI_CONTOUR_SEQUENCE).len(),
        2
    );
}

#[test]
fn bits_fill_whole_bytes_of_every_shape() {
    for (columns, rows) in [(1, 1), (3, 1), (5, 3), (7, 7), (8, 2), (9, 9), (4, 3)] {
        let (source, map, _) = case([columns, rows, 5], &[1, 2, 3], u64::from(columns));
        let folder = tempfile::tempdir().unwrap();
        let written = write_all(folder.path(), &map, &source, &segments(&[1, 2, 3])).unwrap();
        let file = open(&written.segmentation.0);
        let found = binary_voxels(&file, &map);
        for value in [1, 2, 3] {
            let expected = places(&map.data, |found| found == value);
            assert_eq!(found.get(&value).cloned().unwrap_or_default(), expected);
        }
    }
}

#[test]
fn contours_enclose_the_voxels_and_refer_to_their_images() {
    let values = [1, 2];
    let (source, map, instances) = case([13, 11, 4], &values, 8);
    let folder = tempfile::tempdir().unwrap();
    let written = write_all(folder.path(), &map, &source, &segments(&values)).unwrap();
    let file = open(&written.structures.0);
    let read = read_structures(&written.structures.0).unwrap();
    for (region, value) in read.regions.iter().zip(values) {
        let mask = region.mask(&map.geometry()).unwrap();
        assert_eq!(
            places(&mask.data, |found| found > 0),
            places(&map.data, |found| found == value)
        );
    }
    let to_map = map.affine.inverse().unwrap();
    for (roi, value) in items(&file, tags::ROI_CONTOUR_SEQUENCE).iter().zip(values) {
        let mut found = BTreeSet::new();
        for contour in items(roi, tags::CONTOUR_SEQUENCE) {
            let points: Vec<[f64; 3]> = numbers(contour, tags::CONTOUR_DATA)
                .chunks(3)
                .map(|point| to_map.voxel_to_world([-point[0], -point[1], point[2]]))
                .collect();
            assert_eq!(
                points.len(),
                number(contour, tags::NUMBER_OF_CONTOUR_POINTS)
            );
            let plane = points[0][2].round() as usize;
            for point in &points {
                assert!((point[2] - plane as f64).abs() < 1e-3);
                // Borders of pixels lie halfway between their centers.
                for at in &point[..2] {
                    assert!(((at - 0.5) - (at - 0.5).round()).abs() < 1e-3, "{at}");
                }
            }
            let image = only(contour, tags::CONTOUR_IMAGE_SEQUENCE);
            assert_eq!(
                text(image, tags::REFERENCED_SOP_INSTANCE_UID),
                instances[plane]
            );
            for x in 0..13 {
                for y in 0..11 {
                    let crossings = (0..points.len())
                        .filter(|index| {
                            let (a, b) = (points[*index], points[(index + 1) % points.len()]);
                            let spans = (a[1] > y as f64) != (b[1] > y as f64);
                            spans && a[0].min(b[0]) > x as f64
                        })
                        .count();
                    if crossings % 2 == 1 {
                        assert!(found.insert([x, y, plane]), "contours overlap");
                    }
                }
            }
        }
        assert_eq!(found, places(&map.data, |found| found == value));
    }
}

#[test]
fn frames_of_one_image_are_referred_to_by_number() {
    let series = Series::oblique([6, 5, 4]);
    let folder = tempfile::tempdir().unwrap();
    series.save_enhanced(&folder.path().join("enhanced.dcm"));
    let source = source(folder.path(), Policy::Strict);
    let scan = vesal_io::dicom::scan(&[folder.path()]).unwrap();
    let grid = scan.stacks[0]
        .assess(Policy::Strict)
        .unwrap()
        .geometry()
        .unwrap();
    let map = LabelMap {
        data: Array3::ones(grid.shape),
        affine: grid.affine,
    };
    let written = write_all(folder.path(), &map, &source, &segments(&[1])).unwrap();
    let file = open(&written.segmentation.0);
    // The last slice is the first frame of the file.
    for (plane, frame) in items(&file, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
        .iter()
        .enumerate()
    {
        let derivation = only(frame, tags::DERIVATION_IMAGE_SEQUENCE);
        let image = only(derivation, tags::SOURCE_IMAGE_SEQUENCE);
        assert_eq!(number(image, tags::REFERENCED_FRAME_NUMBER), 4 - plane);
        assert_eq!(text(image, tags::REFERENCED_SOP_CLASS_UID), ENHANCED_CT);
    }
    let series = only(&file, tags::REFERENCED_SERIES_SEQUENCE);
    only(series, tags::REFERENCED_INSTANCE_SEQUENCE);
    let structures = open(&written.structures.0);
    let roi = only(&structures, tags::ROI_CONTOUR_SEQUENCE);
    for (plane, contour) in items(roi, tags::CONTOUR_SEQUENCE).iter().enumerate() {
        let image = only(contour, tags::CONTOUR_IMAGE_SEQUENCE);
        assert_eq!(number(image, tags::REFERENCED_FRAME_NUMBER), 4 - plane);
    }
}
