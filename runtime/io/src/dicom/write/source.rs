//! What a result refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};
use vesal_volume::Geometry;

use crate::dicom::dataset::{self, Encoding, Visitor};
use crate::dicom::error::{DicomError, HeaderError};
use crate::dicom::stack::{Assessment, Grade, Slice};
use crate::dicom::syntax::TransferSyntax;
use crate::dicom::tag::Tag;
use crate::dicom::write::elements::Items;
use crate::dicom::write::error::Unwritable;
use crate::dicom::write::uid::{digest, uid};

const CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const IDENTITY_REMOVED: Tag = Tag(0x0012, 0x0062);
const DEIDENTIFICATION_METHOD: Tag = Tag(0x0012, 0x0063);

/// What is done with an attribute of the source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copy {
    /// It tells patient and study from others, and stands in every file as it does in the source.
    Identity,
    /// The same, but left out where the source has none.
    Further,
    /// It describes, and is left empty where it breaks the rules of its representation.
    Description,
    /// The same, but left out.
    Detail,
}

/// Attributes of patient and study that are copied.
const PATIENT_AND_STUDY: [(Tag, VR, Copy); 16] = [
    (Tag(0x0008, 0x0020), VR::DA, Copy::Identity),
    (Tag(0x0008, 0x0030), VR::TM, Copy::Identity),
    (Tag(0x0008, 0x0050), VR::SH, Copy::Identity),
    (Tag(0x0008, 0x0090), VR::PN, Copy::Identity),
    (Tag(0x0008, 0x1030), VR::LO, Copy::Detail),
    (Tag(0x0010, 0x0010), VR::PN, Copy::Identity),
    (Tag(0x0010, 0x0020), VR::LO, Copy::Identity),
    (Tag(0x0010, 0x0021), VR::LO, Copy::Further),
    (Tag(0x0010, 0x0030), VR::DA, Copy::Identity),
    (Tag(0x0010, 0x0040), VR::CS, Copy::Identity),
    (Tag(0x0010, 0x1010), VR::AS, Copy::Detail),
    (Tag(0x0010, 0x1020), VR::DS, Copy::Detail),
    (Tag(0x0010, 0x1030), VR::DS, Copy::Detail),
    (IDENTITY_REMOVED, VR::CS, Copy::Further),
    (DEIDENTIFICATION_METHOD, VR::LO, Copy::Further),
    (Tag(0x0020, 0x0010), VR::SH, Copy::Description),
];

/// Whether a value keeps to the rules of its representation (PS3.5 6.2).
fn is_lawful(vr: VR, value: &[u8]) -> bool {
    // Bytes of another character set than UTF-8 are characters for the most part.
    let text = std::str::from_utf8(value).unwrap_or_default();
    let characters = match text {
        "" => value.len(),
        text => text.chars().count(),
    };
    match vr {
        VR::SH => characters <= 16,
        VR::LO => characters <= 64,
        VR::AS => {
            text.len() == 4
                && text[..3].bytes().all(|byte| byte.is_ascii_digit())
                && text.ends_with(['D', 'W', 'M', 'Y'])
        }
        VR::DS => text.len() <= 16 && text.trim().parse().is_ok_and(f64::is_finite),
        _ => true,
    }
}

const POSITION_REFERENCE: Tag = Tag(0x0020, 0x1040);

/// Whether a value is ASCII in every character set: without escapes to others, which are of 7 bits as well.
fn is_plain(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii() && *byte != 0x1b)
}

/// What made the images; a contribution must name its manufacturer.
const MANUFACTURER: Tag = Tag(0x0008, 0x0070);
const SCANNER: [(Tag, VR); 4] = [
    (MANUFACTURER, VR::LO),
    (Tag(0x0008, 0x1090), VR::LO),
    (Tag(0x0018, 0x1000), VR::LO),
    (Tag(0x0018, 0x1020), VR::LO),
];

/// What lossy compression has done to the images.
const LOSSY: Tag = Tag(0x0028, 0x2110);
const LOSS: [(Tag, VR); 3] = [
    (LOSSY, VR::CS),
    (Tag(0x0028, 0x2112), VR::DS),
    (Tag(0x0028, 0x2114), VR::CS),
];

/// UTF-8.
const UNICODE: &[u8] = b"ISO_IR 192";

/// What a result refers to: a series and its slices, its patient and study.
///
/// Patient and study leave this only for a file that is written.
#[derive(Clone)]
pub struct Source {
    pub(super) study: String,
    pub(super) series: String,
    pub(super) series_number: Option<i64>,
    pub(super) modality: String,
    pub(super) frame_of_reference: String,
    pub(super) grade: Grade,
    pub(super) grid: Geometry,
    /// The frames of the series in the order of its slices.
    pub(super) frames: Vec<SourceFrame>,
    /// Other series that the result was made of, with their studies.
    pub(super) others: Vec<OtherSeries>,
    copied: BTreeMap<Tag, Vec<u8>>,
}

impl fmt::Debug for Source {
    /// Series and number of slices: nothing of the patient.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("series", &self.series)
            .field("grade", &self.grade)
            .field("frames", &self.frames.len())
            .finish_non_exhaustive()
    }
}

/// A frame of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SourceFrame {
    pub class: String,
    pub instance: String,
    /// From 1; `None` where the instance is a single image.
    pub number: Option<u32>,
}

impl SourceFrame {
    fn of(slice: &Slice) -> Self {
        Self {
            class: slice.class().to_owned(),
            instance: slice.instance().to_owned(),
            number: (slice.image.header.frames.len() > 1).then_some(slice.frame_number() as u32),
        }
    }
}

/// A further series of the input.
#[derive(Clone)]
pub(super) struct OtherSeries {
    pub study: String,
    pub series: String,
    pub frames: Vec<SourceFrame>,
}

impl Source {
    /// The series whose grid a result is predicted on; the header of its first slice is read.
    ///
    /// **Errors**: [`DicomError::Refused`] for a stack without a volume; otherwise what is wrong with the file.
    pub fn of(assessment: &Assessment) -> Result<Self, DicomError> {
        let (Some(grid), Some(first)) = (assessment.geometry(), assessment.slices().first()) else {
            return Err(assessment
                .refusal_error()
                .unwrap_or_else(|| DicomError::OutOfMemory {
                    series: assessment.series.clone(),
                    bytes: 0,
                }));
        };
        let header = &first.image.header;
        let frame_of_reference = header.frame_of_reference.clone();
        Ok(Self {
            study: header.study.clone(),
            series: header.series.clone(),
            series_number: header.series_number,
            modality: header.modality.clone(),
            // Results need one; images that state none are alone in theirs.
            frame_of_reference: frame_of_reference
                .unwrap_or_else(|| uid(&digest(["frame of reference", &header.series]))),
            grade: assessment.grade(),
            grid,
            frames: assessment.slices().iter().map(SourceFrame::of).collect(),
            others: Vec::new(),
            copied: read(first).map_err(|reason| DicomError::Header {
                path: first.path().to_owned(),
                reason,
            })?,
        })
    }

    /// The same with a further series, from which other channels of the input were read.
    pub fn and(mut self, further: &Assessment) -> Self {
        if let Some(first) = further.slices().first() {
            self.others.push(OtherSeries {
                study: first.image.header.study.clone(),
                series: further.series.clone(),
                frames: further.slices().iter().map(SourceFrame::of).collect(),
            });
        }
        self
    }

    /// The frames of the planes; `None` where the grid's planes are not the slices of the series.
    pub(super) fn planes(&self) -> Option<&[SourceFrame]> {
        let [_, _, planes] = self.grid.shape;
        (self.grade == Grade::Ok && self.frames.len() == planes).then_some(self.frames.as_slice())
    }

    /// Digest of all that the result was made of.
    pub(super) fn digest(&self) -> [u8; 32] {
        let frames = |frames: &[SourceFrame]| -> Vec<String> {
            frames
                .iter()
                .map(|frame| format!("{} {}", frame.instance, frame.number.unwrap_or(0)))
                .collect()
        };
        let mut texts = vec![self.study.clone(), self.series.clone()];
        texts.extend(frames(&self.frames));
        for other in &self.others {
            texts.extend([other.study.clone(), other.series.clone()]);
            texts.extend(frames(&other.frames));
        }
        digest(texts.iter().map(String::as_str))
    }

    /// All series, this one first: study, series, and the class and UID of each instance once.
    pub(super) fn all_series(&self) -> Vec<SeriesInstances<'_>> {
        let own = (&self.study, &self.series, &self.frames);
        let others = self.others.iter();
        std::iter::once(own)
            .chain(others.map(|other| (&other.study, &other.series, &other.frames)))
            .map(|(study, series, frames)| {
                let mut seen = BTreeSet::new();
                let instances = frames
                    .iter()
                    .filter(|frame| seen.insert(&frame.instance))
                    .map(|frame| (frame.class.as_str(), frame.instance.as_str()))
                    .collect();
                SeriesInstances {
                    study,
                    series,
                    instances,
                }
            })
            .collect()
    }

    /// Patient and study as they stand in the source, and the character set of the whole file,
    /// which must hold `ours` as well.
    pub(super) fn patient_and_study<'a>(
        &self,
        mut ours: impl Iterator<Item = &'a str>,
    ) -> Result<Items, Unwritable> {
        let stated = self.value(CHARACTER_SET);
        let foreign = ours.find(|text| !text.is_ascii());
        let (set, recode) = match foreign {
            None => (stated, None),
            Some(_) if stated == UNICODE => (stated, None),
            Some(_) if self.copied.values().all(|value| is_plain(value)) => (UNICODE, None),
            Some(text) => {
                // What code extensions switch between cannot be told apart here.
                let codec = std::str::from_utf8(stated)
                    .ok()
                    .filter(|set| !set.contains('\\') && !set.contains("2022"))
                    .and_then(SpecificCharacterSet::from_code)
                    .ok_or_else(|| Unwritable::CharacterSet {
                        text: text.to_owned(),
                    })?;
                (UNICODE, Some((codec, text)))
            }
        };
        let mut items = Items::new();
        if !set.is_empty() {
            items = items.bytes(CHARACTER_SET.into(), VR::CS, set);
        }
        for (tag, vr, copy) in PATIENT_AND_STUDY {
            let mut value = self.value(tag);
            if matches!(copy, Copy::Description | Copy::Detail) && !is_lawful(vr, value) {
                value = &[];
            }
            if value.is_empty() && matches!(copy, Copy::Further | Copy::Detail) {
                continue;
            }
            items = match &recode {
                Some((codec, text)) => {
                    let decoded = codec.decode(value).map_err(|_| Unwritable::CharacterSet {
                        text: (*text).to_owned(),
                    })?;
                    items.text(tag.into(), vr, &decoded)
                }
                None => items.bytes(tag.into(), vr, value),
            };
        }
        if self.value(IDENTITY_REMOVED) == b"YES" && self.value(DEIDENTIFICATION_METHOD).is_empty()
        {
            items = items.text(
                DEIDENTIFICATION_METHOD.into(),
                VR::LO,
                "as of the source images",
            );
        }
        Ok(items.uid(tags::STUDY_INSTANCE_UID, &self.study))
    }

    /// The frame of reference of the grid.
    pub(super) fn frame_of_reference(&self) -> Items {
        Items::new()
            .uid(tags::FRAME_OF_REFERENCE_UID, &self.frame_of_reference)
            .bytes(
                POSITION_REFERENCE.into(),
                VR::LO,
                self.ascii(POSITION_REFERENCE).unwrap_or_default(),
            )
    }

    /// What made the images; `None` where its maker is not stated.
    pub(super) fn scanner(&self) -> Option<Items> {
        self.ascii(MANUFACTURER)?;
        Some(
            SCANNER
                .iter()
                .fold(Items::new(), |items, (tag, vr)| match self.ascii(*tag) {
                    Some(value) => items.bytes((*tag).into(), *vr, value),
                    None => items,
                }),
        )
    }

    /// Whether the images went through lossy compression, and what it did.
    pub(super) fn loss(&self) -> Items {
        if self.value(LOSSY) != b"01" {
            return Items::new().word(LOSSY.into(), "00");
        }
        LOSS.iter()
            .filter(|(tag, _)| !self.value(*tag).is_empty())
            .fold(Items::new(), |items, (tag, vr)| {
                items.bytes((*tag).into(), *vr, self.value(*tag))
            })
    }

    /// A value that a file of any character set can hold.
    fn ascii(&self, tag: Tag) -> Option<&[u8]> {
        Some(self.value(tag)).filter(|value| !value.is_empty() && is_plain(value))
    }

    fn value(&self, tag: Tag) -> &[u8] {
        self.copied.get(&tag).map_or(&[], Vec::as_slice)
    }
}

/// A series and its instances.
pub(super) struct SeriesInstances<'a> {
    pub study: &'a str,
    pub series: &'a str,
    /// Class and UID of each.
    pub instances: Vec<(&'a str, &'a str)>,
}

impl From<Tag> for dicom_core::Tag {
    fn from(Tag(group, element): Tag) -> Self {
        Self(group, element)
    }
}

/// Reads what is copied from the header of a slice.
fn read(slice: &Slice) -> Result<BTreeMap<Tag, Vec<u8>>, HeaderError> {
    let file = File::open(slice.path()).map_err(HeaderError::io)?;
    let (mut stream, uid) = dataset::open(file)?;
    let syntax = TransferSyntax::of(&uid).unwrap_or(TransferSyntax::ExplicitLittle);
    if syntax == TransferSyntax::Deflated {
        stream = stream.deflated();
    }
    let mut copied = Copied(BTreeMap::new());
    dataset::walk(&mut stream, Encoding::of(syntax), &mut copied)?;
    Ok(copied.0)
}

struct Copied(BTreeMap<Tag, Vec<u8>>);

impl Visitor for Copied {
    fn enters(&self, _: &[Tag], _: Tag) -> bool {
        false
    }

    fn wants(&self, path: &[Tag], tag: Tag) -> bool {
        path.is_empty()
            && (tag == CHARACTER_SET
                || PATIENT_AND_STUDY.iter().any(|(wanted, ..)| *wanted == tag)
                || tag == POSITION_REFERENCE
                || SCANNER
                    .iter()
                    .chain(&LOSS)
                    .any(|(wanted, _)| *wanted == tag))
    }

    fn begins(&mut self, _: &[Tag]) {}

    fn value(&mut self, _: &[Tag], tag: Tag, value: Vec<u8>) {
        let end = value
            .iter()
            .rposition(|byte| !matches!(*byte, 0 | b' '))
            .map_or(0, |at| at + 1);
        self.0.entry(tag).or_insert_with(|| value[..end].to_vec());
    }
}
