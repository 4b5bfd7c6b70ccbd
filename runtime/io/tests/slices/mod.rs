//! Synthetic series, written with another implementation than the one that reads them, and results of them.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod read;

use std::path::{Path, PathBuf};

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject};
use ndarray::Array3;
use vesal_io::dicom::write::{
    AlgorithmIdentification, DicomWriteError, Moment, Reference, ResultOptions, Segment,
    SegmentationType, SegmentedMap, SourceImages, write_report, write_segmentation,
    write_structures,
};
use vesal_io::dicom::{Assessment, ContentDigest, Policy, scan};
use vesal_io::image::ReadLimits;
use vesal_volume::LabelMap;

pub const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub const ENHANCED_CT: &str = "1.2.840.10008.5.1.4.1.1.2.1";
/// Sentinel for patient identifiers.
pub const SENTINEL: &str = "Sentinel^Patient";

/// A series of single images.
#[derive(Debug, Clone)]
pub struct Series {
    pub columns: u16,
    pub rows: u16,
    pub orientation: [f64; 6],
    pub first: [f64; 3],
    pub step: [f64; 3],
    /// Between rows, between columns.
    pub spacing: [f64; 2],
    /// Places in steps from the first.
    pub places: Vec<f64>,
    pub character_set: Option<&'static str>,
    pub patient: Vec<u8>,
    /// UID of the series; those of instances begin with it.
    pub series: &'static str,
    pub frame_of_reference: &'static str,
    pub accession: &'static str,
    /// Offset added to every pixel.
    pub brightness: u16,
}

impl Series {
    /// An oblique series of this many columns, rows and slices.
    pub fn oblique([columns, rows, slices]: [u16; 3]) -> Self {
        let (sin, cos) = 0.4_f64.sin_cos();
        let (s, c) = 0.2_f64.sin_cos();
        let row = [cos, sin, 0.0];
        let column = [-sin * c, cos * c, s];
        let normal = [
            row[1] * column[2] - row[2] * column[1],
            row[2] * column[0] - row[0] * column[2],
            row[0] * column[1] - row[1] * column[0],
        ];
        Self {
            columns,
            rows,
            orientation: [row[0], row[1], row[2], column[0], column[1], column[2]],
            first: [-21.5, 13.25, -400.125],
            step: normal.map(|part| 2.5 * part),
            spacing: [0.75, 1.25],
            places: (0..slices).map(f64::from).collect(),
            character_set: Some("ISO_IR 100"),
            patient: SENTINEL.as_bytes().to_vec(),
            series: "1.2.3.2",
            frame_of_reference: "1.2.3.3",
            accession: "ACCESSION",
            brightness: 0,
        }
    }

    pub fn save(&self, folder: &Path) {
        // File order is not slice order.
        for (index, place) in self.places.iter().enumerate() {
            let mut object = InMemDicomObject::new_empty();
            let mut put = |tag, vr, text: &str| {
                object.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
            };
            let instance = format!("{}.4.{}", self.series, 1000 - index);
            if let Some(set) = self.character_set {
                put(tags::SPECIFIC_CHARACTER_SET, VR::CS, set);
            }
            put(tags::SOP_CLASS_UID, VR::UI, CT);
            put(tags::SOP_INSTANCE_UID, VR::UI, &instance);
            put(tags::STUDY_DATE, VR::DA, "20240131");
            put(tags::ACCESSION_NUMBER, VR::SH, self.accession);
            put(tags::MODALITY, VR::CS, "CT");
            put(tags::MANUFACTURER, VR::LO, "Maker");
            put(tags::PATIENT_ID, VR::LO, "ID-7");
            put(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.1");
            put(tags::SERIES_INSTANCE_UID, VR::UI, self.series);
            put(tags::SERIES_NUMBER, VR::IS, "4");
            put(
                tags::FRAME_OF_REFERENCE_UID,
                VR::UI,
                self.frame_of_reference,
            );
            let position: [f64; 3] =
                std::array::from_fn(|axis| self.first[axis] + place * self.step[axis]);
            put(tags::IMAGE_POSITION_PATIENT, VR::DS, &join(&position));
            put(
                tags::IMAGE_ORIENTATION_PATIENT,
                VR::DS,
                &join(&self.orientation),
            );
            put(tags::PIXEL_SPACING, VR::DS, &join(&self.spacing));
            put(tags::SLICE_THICKNESS, VR::DS, "2.5");
            put(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
            let name = PrimitiveValue::U8(self.patient.clone().into());
            object.put(DataElement::new(tags::PATIENT_NAME, VR::PN, name));
            let pixel = index as u16 + self.brightness;
            self.put_pixels(&mut object, vec![pixel; self.pixels()]);
            let meta = FileMetaTableBuilder::new()
                .media_storage_sop_class_uid(CT)
                .media_storage_sop_instance_uid(&instance)
                .transfer_syntax("1.2.840.10008.1.2.1");
            let file = object.with_meta(meta).unwrap();
            let path = folder.join(format!("{:03}.dcm", self.places.len() - index));
            file.write_to_file(path).unwrap();
        }
    }

    /// Saves the series as the frames of one enhanced image, the last slice first.
    pub fn save_enhanced(&self, path: &Path) {
        let item = |elements: &[(Tag, VR, String)]| {
            let mut item = InMemDicomObject::new_empty();
            for (tag, vr, text) in elements {
                item.put(DataElement::new(
                    *tag,
                    *vr,
                    PrimitiveValue::from(text.as_str()),
                ));
            }
            item
        };
        let put = |object: &mut InMemDicomObject, tag, items: Vec<InMemDicomObject>| {
            object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
        };
        let mut object = item(&[
            (tags::SOP_CLASS_UID, VR::UI, ENHANCED_CT.to_owned()),
            (tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4.1".to_owned()),
            (tags::MODALITY, VR::CS, "CT".to_owned()),
            (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.1".to_owned()),
            (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.2".to_owned()),
            (tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.3".to_owned()),
            (
                tags::PHOTOMETRIC_INTERPRETATION,
                VR::CS,
                "MONOCHROME2".to_owned(),
            ),
            (
                tags::NUMBER_OF_FRAMES,
                VR::IS,
                self.places.len().to_string(),
            ),
        ]);
        let mut shared = InMemDicomObject::new_empty();
        let orientation = join(&self.orientation);
        put(
            &mut shared,
            tags::PLANE_ORIENTATION_SEQUENCE,
            vec![item(&[(
                tags::IMAGE_ORIENTATION_PATIENT,
                VR::DS,
                orientation,
            )])],
        );
        put(
            &mut shared,
            tags::PIXEL_MEASURES_SEQUENCE,
            vec![item(&[(tags::PIXEL_SPACING, VR::DS, join(&self.spacing))])],
        );
        put(
            &mut object,
            tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
            vec![shared],
        );
        let frames = self.places.iter().rev().map(|place| {
            let position: [f64; 3] =
                std::array::from_fn(|axis| self.first[axis] + place * self.step[axis]);
            let position = item(&[(tags::IMAGE_POSITION_PATIENT, VR::DS, join(&position))]);
            let mut frame = InMemDicomObject::new_empty();
            put(&mut frame, tags::PLANE_POSITION_SEQUENCE, vec![position]);
            frame
        });
        let frames = frames.collect();
        put(
            &mut object,
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            frames,
        );
        self.put_pixels(&mut object, vec![7; self.pixels() * self.places.len()]);
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(ENHANCED_CT)
            .media_storage_sop_instance_uid("1.2.3.4.1")
            .transfer_syntax("1.2.840.10008.1.2.1");
        object.with_meta(meta).unwrap().write_to_file(path).unwrap();
    }

    fn pixels(&self) -> usize {
        usize::from(self.rows) * usize::from(self.columns)
    }

    fn put_pixels(&self, object: &mut InMemDicomObject, pixels: Vec<u16>) {
        for (tag, value) in [
            (tags::ROWS, self.rows),
            (tags::COLUMNS, self.columns),
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 16),
            (tags::HIGH_BIT, 15),
            (tags::PIXEL_REPRESENTATION, 0),
        ] {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        let pixels = PrimitiveValue::U16(pixels.into());
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, pixels));
    }

    /// The source of results about this series.
    pub fn source(&self) -> SourceImages {
        let folder = tempfile::tempdir().unwrap();
        self.save(folder.path());
        source(folder.path(), Policy::Resample)
    }
}

fn join(numbers: &[f64]) -> String {
    let texts: Vec<String> = numbers
        .iter()
        .map(|number| format!("{number:.12}"))
        .map(|text| text[..text.len().min(16)].to_owned())
        .collect();
    texts.join("\\")
}

/// The source of the only series below a folder.
pub fn source(folder: &Path, policy: Policy) -> SourceImages {
    let scan = scan(&[folder]).unwrap();
    assert_eq!(scan.stacks.len(), 1);
    source_of(&scan.stacks[0].assess(policy).unwrap())
}

/// The source of an assessment, read for it.
pub fn source_of(assessment: &Assessment) -> SourceImages {
    SourceImages::of(assessment, content(assessment)).unwrap()
}

/// The content digest of an assessment.
pub fn content(assessment: &Assessment) -> ContentDigest {
    let (_, content) = assessment
        .read_with_content(&ReadLimits::default())
        .unwrap();
    content
}

pub fn algorithm() -> AlgorithmIdentification {
    AlgorithmIdentification {
        name: "organs".to_owned(),
        version: "1.2.0".to_owned(),
        digest: "5c".repeat(32),
        parameters: Some("overlap 0.5".to_owned()),
    }
}

pub fn options() -> ResultOptions {
    ResultOptions {
        overwrite: false,
        made: Moment {
            year: 2026,
            month: 3,
            day: 4,
            hour: 5,
            minute: 6,
            second: 7,
        },
        series_number: None,
        key: None,
    }
}

/// Numbers without pattern: xorshift.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A map of boxes and single voxels with these values, most of it background.
pub fn random_map(shape: [usize; 3], values: &[u16], seed: u64) -> Array3<u16> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut data = Array3::zeros(shape);
    for _ in 0..6 {
        let value = values[random.next() as usize % values.len()];
        let corner = shape.map(|n| random.next() as usize % n);
        let size = shape.map(|n| 1 + random.next() as usize % n.div_ceil(2));
        for ((x, y, z), voxel) in data.indexed_iter_mut() {
            let inside = [x, y, z]
                .iter()
                .zip(corner.iter().zip(size))
                .all(|(at, (from, size))| (*from..from + size).contains(at));
            if inside {
                *voxel = value;
            }
        }
    }
    for voxel in &mut data {
        if random.next().is_multiple_of(20) {
            *voxel = values[random.next() as usize % values.len()];
        }
    }
    data
}

/// The results of a case.
pub struct Written {
    pub segmentation: (PathBuf, Reference),
    pub structures: (PathBuf, Reference),
    pub report: (PathBuf, Reference),
}

/// Writes all kinds of results.
pub fn write_all(
    folder: &Path,
    map: &LabelMap,
    source: &SourceImages,
    segments: &[Segment],
) -> Result<Written, DicomWriteError> {
    let segmented = SegmentedMap {
        map,
        segments,
        regions: false,
    };
    let (algorithm, options) = (algorithm(), options());
    let path = |name: &str| folder.join(name);
    let label_map = path("labelmap.dcm");
    write_segmentation(
        label_map,
        &segmented,
        source,
        &algorithm,
        SegmentationType::LabelMap,
        &options,
    )?;
    let seg = path("seg.dcm");
    let segmentation = write_segmentation(
        &seg,
        &segmented,
        source,
        &algorithm,
        SegmentationType::Binary,
        &options,
    )?;
    let rt = path("structures.dcm");
    let structures = write_structures(&rt, &segmented, source, &algorithm, &options)?;
    let sr = path("report.dcm");
    let report = write_report(&sr, &segmented, &segmentation, source, &algorithm, &options)?;
    Ok(Written {
        segmentation: (seg, segmentation),
        structures: (rt, structures),
        report: (sr, report),
    })
}

/// Reads a file with dicom-rs.
pub fn open(path: impl AsRef<Path>) -> FileDicomObject<InMemDicomObject> {
    dicom_object::open_file(path).unwrap()
}
