//! Results written as DICOM, read back with dicom-rs: voxels at their places, references, UIDs, texts, limits.

mod slices;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use ndarray::{Array3, Axis};
use slices::{SENTINEL, Series, algorithm, open, options, random_map, source, write_all};
use vesal_io::atomic::AtomicError;
use vesal_io::dicom::Policy;
use vesal_io::dicom::write::{
    Algorithm, DicomWriteError, Form, ResultOptions, Segment, Segmented, Source, Unwritable,
    write_report, write_segmentation, write_structures,
};
use vesal_volume::{Affine, LabelMap};

fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.element(tag).unwrap().items().unwrap()
}

fn only(object: &InMemDicomObject, tag: Tag) -> &InMemDicomObject {
    let [item] = items(object, tag) else {
        panic!("{tag} has several items");
    };
    item
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object
        .element(tag)
        .unwrap()
        .to_str()
        .unwrap()
        .trim_end_matches(['\0', ' '])
        .to_owned()
}

fn numbers(object: &InMemDicomObject, tag: Tag) -> Vec<f64> {
    object.element(tag).unwrap().to_multi_float64().unwrap()
}

fn number(object: &InMemDicomObject, tag: Tag) -> usize {
    object.element(tag).unwrap().to_int().unwrap()
}

/// The map in another order and direction of its axes, at the same places.
fn turned(map: &LabelMap, order: [usize; 3], reversed: [bool; 3]) -> LabelMap {
    let mut data = map.data.clone().permuted_axes(order);
    let linear = map.affine.linear();
    let mut first = [0.0; 3];
    for (place, axis) in order.into_iter().enumerate() {
        if reversed[place] {
            data.invert_axis(Axis(place));
            first[axis] = map.data.len_of(Axis(axis)) as f64 - 1.0;
        }
    }
    let linear = std::array::from_fn(|row| {
        std::array::from_fn(|place| {
            let sign = if reversed[place] { -1.0 } else { 1.0 };
            sign * linear[row][order[place]]
        })
    });
    LabelMap {
        data: data.as_standard_layout().into_owned(),
        affine: Affine::from_parts(linear, map.affine.voxel_to_world(first)),
    }
}

const ORDERS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

/// Where a voxel of a frame lies, as an index of a map.
struct Place {
    to_map: Affine,
    directions: Vec<f64>,
    spacing: Vec<f64>,
}

impl Place {
    fn new(file: &InMemDicomObject, map: &LabelMap) -> Self {
        let shared = only(file, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let orientation = only(shared, tags::PLANE_ORIENTATION_SEQUENCE);
        let measures = only(shared, tags::PIXEL_MEASURES_SEQUENCE);
        Self {
            to_map: map.affine.inverse().unwrap(),
            directions: numbers(orientation, tags::IMAGE_ORIENTATION_PATIENT),
            spacing: numbers(measures, tags::PIXEL_SPACING),
        }
    }

    fn of(&self, position: &[f64], column: usize, row: usize) -> [usize; 3] {
        let lps: [f64; 3] = std::array::from_fn(|axis| {
            position[axis]
                + self.directions[axis] * self.spacing[1] * column as f64
                + self.directions[3 + axis] * self.spacing[0] * row as f64
        });
        let voxel = self.to_map.voxel_to_world([-lps[0], -lps[1], lps[2]]);
        voxel.map(|at| {
            assert!((at - at.round()).abs() < 1e-4, "{at} is off the grid");
            at.round() as usize
        })
    }
}

/// Voxels of each segment number in a binary segmentation, by their index in a map.
fn binary_voxels(file: &InMemDicomObject, map: &LabelMap) -> BTreeMap<u16, BTreeSet<[usize; 3]>> {
    let place = Place::new(file, map);
    let (rows, columns) = (number(file, tags::ROWS), number(file, tags::COLUMNS));
    let frames = items(file, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    assert_eq!(frames.len(), number(file, tags::NUMBER_OF_FRAMES));
    let bytes = file.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
    let bits = rows * columns * frames.len();
    assert_eq!(bytes.len(), bits.div_ceil(8).next_multiple_of(2));
    let mut voxels: BTreeMap<u16, BTreeSet<_>> = BTreeMap::new();
    let mut last = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let position = numbers(
            only(frame, tags::PLANE_POSITION_SEQUENCE),
            tags::IMAGE_POSITION_PATIENT,
        );
        let segment = number(
            only(frame, tags::SEGMENT_IDENTIFICATION_SEQUENCE),
            tags::REFERENCED_SEGMENT_NUMBER,
        );
        let dimensions = only(frame, tags::FRAME_CONTENT_SEQUENCE)
            .element(tags::DIMENSION_INDEX_VALUES)
            .unwrap()
            .to_multi_int::<u32>()
            .unwrap();
        assert!(dimensions > last, "frames are out of order");
        assert_eq!(dimensions[1] as usize, segment);
        last = dimensions;
        for row in 0..rows {
            for column in 0..columns {
                let bit = (index * rows + row) * columns + column;
                if bytes[bit / 8] >> (bit % 8) & 1 == 1 {
                    let voxel = place.of(&position, column, row);
                    assert!(voxels.entry(segment as u16).or_default().insert(voxel));
                }
            }
        }
    }
    voxels
}

/// Decodes a frame of RLE (PS3.5 G.3).
fn decode(fragment: &[u8], pixels: usize, bytes: usize) -> Vec<u16> {
    let long = |at: usize| u32::from_le_bytes(fragment[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(long(0), bytes);
    let mut values = vec![0_u16; pixels];
    for byte in 0..bytes {
        let mut at = long(4 + 4 * byte);
        let mut line = Vec::new();
        while line.len() < pixels {
            let count = fragment[at] as i8;
            at += 1;
            if count >= 0 {
                line.extend(&fragment[at..=at + count as usize]);
                at += count as usize + 1;
            } else {
                line.extend(std::iter::repeat_n(
                    fragment[at],
                    (1 - i16::from(count)) as usize,
                ));
                at += 1;
            }
        }
        for (value, part) in values.iter_mut().zip(line) {
            *value = *value << 8 | u16::from(part);
        }
    }
    values
}

fn label_map_values(file: &InMemDicomObject, map: &LabelMap) -> Array3<u16> {
    let place = Place::new(file, map);
    let (rows, columns) = (number(file, tags::ROWS), number(file, tags::COLUMNS));
    let frames = items(file, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let fragments = file.element(tags::PIXEL_DATA).unwrap().fragments().unwrap();
    assert_eq!(fragments.len(), frames.len());
    let bytes = number(file, tags::BITS_ALLOCATED) / 8;
    let mut found = Array3::zeros(map.data.dim());
    for (frame, fragment) in frames.iter().zip(fragments) {
        let position = numbers(
            only(frame, tags::PLANE_POSITION_SEQUENCE),
            tags::IMAGE_POSITION_PATIENT,
        );
        let values = decode(fragment, rows * columns, bytes);
        for (pixel, value) in values.into_iter().enumerate() {
            found[place.of(&position, pixel % columns, pixel / columns)] = value;
        }
    }
    found
}

fn segments(values: &[u16]) -> Vec<Segment> {
    let named = |value: &u16| Segment::named(*value, format!("label {value}"));
    values.iter().map(named).collect()
}

fn places(data: &Array3<u16>, holds: impl Fn(u16) -> bool) -> BTreeSet<[usize; 3]> {
    data.indexed_iter()
        .filter(|(_, value)| holds(**value))
        .map(|((x, y, z), _)| [x, y, z])
        .collect()
}

/// A series with its source, and a map on its grid.
fn case(shape: [u16; 3], values: &[u16], seed: u64) -> (Source, LabelMap, Vec<String>) {
    let series = Series::oblique(shape);
    let folder = tempfile::tempdir().unwrap();
    series.save(folder.path());
    let scan = vesal_io::dicom::scan(&[folder.path()]).unwrap();
    let assessment = scan.stacks[0].assess(Policy::Strict).unwrap();
    let map = LabelMap {
        data: random_map(shape.map(usize::from), values, seed),
        affine: assessment.geometry().unwrap().affine,
    };
    let instances = assessment
        .slices()
        .iter()
        .map(|slice| slice.instance().to_owned());
    (Source::of(&assessment).unwrap(), map, instances.collect())
}

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
            let segmented = Segmented {
                map: &map,
                segments: &segments,
                regions: false,
            };
            let write = |form| {
                write_segmentation(&path, &segmented, &source, &algorithm(), form, &options)
                    .unwrap();
                open(&path)
            };
            let file = write(Form::Binary);
            assert_eq!(number(&file, tags::COLUMNS), 7);
            let found = binary_voxels(&file, &map);
            for (index, value) in values.into_iter().enumerate() {
                let expected = places(&map.data, |found| found == value);
                assert_eq!(found[&(index as u16 + 1)], expected);
            }
            // Whatever the map's order, planes are the source's own, and say so.
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
            assert_eq!(label_map_values(&write(Form::LabelMap), &map), map.data);
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
    let segmented = Segmented {
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
        Form::Binary,
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

/// All text values of a report's content.
fn texts(item: &InMemDicomObject, found: &mut String) {
    if item.element(tags::TEXT_VALUE).is_ok() {
        *found += &text(item, tags::TEXT_VALUE);
        found.push('\n');
    }
    if item.element(tags::CONTENT_SEQUENCE).is_ok() {
        for item in items(item, tags::CONTENT_SEQUENCE) {
            texts(item, found);
        }
    }
}

#[test]
fn regions_may_overlap() {
    let (source, map, _) = case([11, 7, 5], &[1, 2, 3, 6, 7], 3);
    let segments: Vec<Segment> = [4, 1, 2]
        .map(|bit| Segment::named(bit, format!("{bit}")))
        .into();
    let regions = Segmented {
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
        Form::LabelMap,
        &options,
    );
    assert!(matches!(
        refused,
        Err(DicomWriteError::Write {
            reason: Unwritable::Overlap,
            ..
        })
    ));
    write_segmentation(&path, &regions, &source, &algorithm, Form::Binary, &options).unwrap();
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
fn the_same_input_has_the_same_uids_and_another_has_others() {
    let (source, map, _) = case([6, 5, 4], &[1], 2);
    let (other_source, ..) = case([6, 5, 5], &[1], 2);
    let segments = segments(&[1]);
    let segmented = Segmented {
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
        made: vesal_io::dicom::write::Moment {
            hour: 6,
            ..options.made
        },
        ..options
    };
    let path = folder.path().join("a.dcm");
    let write = |source: &Source, algorithm: &Algorithm, form, options: &ResultOptions| {
        write_segmentation(&path, &segmented, source, algorithm, form, options).unwrap()
    };
    let first = write(&source, &algorithm(), Form::Binary, &options);
    assert!(first.instance.starts_with("2.25.") && first.instance.len() <= 64);
    let tracking = text(
        only(&open(&path), tags::SEGMENT_SEQUENCE),
        tags::TRACKING_UID,
    );
    assert_eq!(write(&source, &algorithm(), Form::Binary, &later), first);
    let mut other = algorithm();
    other.digest = "5d".repeat(32);
    let mut tuned = algorithm();
    tuned.parameters = None;
    let mut all = BTreeSet::from([first.instance.clone(), first.series.clone()]);
    for reference in [
        write(&source, &algorithm(), Form::LabelMap, &options),
        write(&source, &other, Form::Binary, &options),
        write(&source, &tuned, Form::Binary, &options),
        write(&other_source, &algorithm(), Form::Binary, &options),
        write_structures(&path, &segmented, &source, &algorithm(), &options).unwrap(),
        write_report(&path, &segmented, &first, &source, &algorithm(), &options).unwrap(),
    ] {
        assert!(all.insert(reference.instance) && all.insert(reference.series));
    }
    // What is followed up has one name in all results.
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
        // What the source lacks is there without a value.
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
    // Latin-1 stays what it is, byte for byte, as long as all else is ASCII.
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
    let refused = write(code_extensions, japanese, "Gef\u{e4}\u{df}");
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

#[test]
fn contours_enclose_the_voxels_and_refer_to_their_images() {
    let values = [1, 2];
    let (source, map, instances) = case([13, 11, 4], &values, 8);
    let folder = tempfile::tempdir().unwrap();
    let written = write_all(folder.path(), &map, &source, &segments(&values)).unwrap();
    let file = open(&written.structures.0);
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
    let write = |map: &LabelMap, segments: &[Segment], algorithm: &Algorithm| {
        let segmented = Segmented {
            map,
            segments,
            regions: false,
        };
        let binary = Form::Binary;
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
    let segmented = Segmented {
        map: &map,
        segments: &both,
        regions: false,
    };
    let exists = write_segmentation(&path, &segmented, &source, &plain, Form::Binary, &options());
    assert!(matches!(
        exists,
        Err(DicomWriteError::Output(AtomicError::Exists { .. }))
    ));
    assert_eq!(fs::read(&path).unwrap(), b"kept");
}
