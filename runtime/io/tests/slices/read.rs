//! Results read back with dicom-rs.

use std::collections::{BTreeMap, BTreeSet};

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use ndarray::{Array3, Axis};
use vesal_io::dicom::Policy;
use vesal_io::dicom::write::{Segment, SourceImages};
use vesal_volume::{Affine, LabelMap};

use super::{Series, random_map, source_of};

pub fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.element(tag).unwrap().items().unwrap()
}

pub fn only(object: &InMemDicomObject, tag: Tag) -> &InMemDicomObject {
    let [item] = items(object, tag) else {
        panic!("{tag} has several items");
    };
    item
}

pub fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object
        .element(tag)
        .unwrap()
        .to_str()
        .unwrap()
        .trim_end_matches(['\0', ' '])
        .to_owned()
}

pub fn numbers(object: &InMemDicomObject, tag: Tag) -> Vec<f64> {
    object.element(tag).unwrap().to_multi_float64().unwrap()
}

pub fn number(object: &InMemDicomObject, tag: Tag) -> usize {
    object.element(tag).unwrap().to_int().unwrap()
}

/// The map in another order and direction of its axes, at the same places.
pub fn turned(map: &LabelMap, order: [usize; 3], reversed: [bool; 3]) -> LabelMap {
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

pub const ORDERS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

/// Where a voxel of a frame lies, as an index of a map.
pub struct Place {
    to_map: Affine,
    directions: Vec<f64>,
    spacing: Vec<f64>,
}

impl Place {
    pub fn new(file: &InMemDicomObject, map: &LabelMap) -> Self {
        let shared = only(file, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let orientation = only(shared, tags::PLANE_ORIENTATION_SEQUENCE);
        let measures = only(shared, tags::PIXEL_MEASURES_SEQUENCE);
        Self {
            to_map: map.affine.inverse().unwrap(),
            directions: numbers(orientation, tags::IMAGE_ORIENTATION_PATIENT),
            spacing: numbers(measures, tags::PIXEL_SPACING),
        }
    }

    pub fn of(&self, position: &[f64], column: usize, row: usize) -> [usize; 3] {
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
pub fn binary_voxels(
    file: &InMemDicomObject,
    map: &LabelMap,
) -> BTreeMap<u16, BTreeSet<[usize; 3]>> {
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
pub fn decode(fragment: &[u8], pixels: usize, bytes: usize) -> Vec<u16> {
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

pub fn label_map_values(file: &InMemDicomObject, map: &LabelMap) -> Array3<u16> {
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

pub fn segments(values: &[u16]) -> Vec<Segment> {
    let named = |value: &u16| Segment::named(*value, format!("label {value}"));
    values.iter().map(named).collect()
}

pub fn places(data: &Array3<u16>, holds: impl Fn(u16) -> bool) -> BTreeSet<[usize; 3]> {
    data.indexed_iter()
        .filter(|(_, value)| holds(**value))
        .map(|((x, y, z), _)| [x, y, z])
        .collect()
}

/// A series with its source, and a map on its grid.
pub fn case(shape: [u16; 3], values: &[u16], seed: u64) -> (SourceImages, LabelMap, Vec<String>) {
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
    (source_of(&assessment), map, instances.collect())
}

/// All text values of a report's content.
pub fn texts(item: &InMemDicomObject, found: &mut String) {
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
