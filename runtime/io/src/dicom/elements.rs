//! The elements that are read from an image header, and their values as numbers and text.

use std::collections::BTreeMap;

use crate::dicom::dataset::{Encoding, ITEM_OVERHEAD, Longest, VALUE_BYTES_MAX, Visitor};
use crate::dicom::error::DicomHeaderError;
use crate::dicom::patient::{self, PatientDigest, PatientReader};
use crate::dicom::per_frame::PerFrame;
use crate::dicom::pixel_format::PixelFormat;
use crate::dicom::tag::{self, Tag};
use crate::dicom::text::{CharacterSets, text};

/// The values of an image header.
pub(super) struct Elements {
    encoding: Encoding,
    top: BTreeMap<Tag, Vec<u8>>,
    shared: BTreeMap<Tag, Vec<u8>>,
    /// The items of the per-frame functional groups.
    pub per_frame: PerFrame,
    pub modality_lut: bool,
    patient: PatientReader,
}

/// Attributes of the data set itself.
const TOP: [Tag; 34] = [
    tag::SPECIFIC_CHARACTER_SET,
    tag::IMAGE_TYPE,
    tag::SOP_CLASS_UID,
    tag::SOP_INSTANCE_UID,
    tag::ACQUISITION_TIME,
    tag::MODALITY,
    tag::SERIES_DESCRIPTION,
    tag::SLICE_THICKNESS,
    tag::ECHO_TIME,
    tag::ECHO_NUMBERS,
    tag::SPACING_BETWEEN_SLICES,
    tag::TRIGGER_TIME,
    tag::DIFFUSION_B_VALUE,
    tag::STUDY_INSTANCE_UID,
    tag::SERIES_INSTANCE_UID,
    tag::SERIES_NUMBER,
    tag::ACQUISITION_NUMBER,
    tag::IMAGE_POSITION,
    tag::IMAGE_ORIENTATION,
    tag::FRAME_OF_REFERENCE_UID,
    tag::TEMPORAL_POSITION_IDENTIFIER,
    tag::SAMPLES_PER_PIXEL,
    tag::PHOTOMETRIC_INTERPRETATION,
    tag::NUMBER_OF_FRAMES,
    tag::ROWS,
    tag::COLUMNS,
    tag::PIXEL_SPACING,
    tag::BITS_ALLOCATED,
    tag::BITS_STORED,
    tag::HIGH_BIT,
    tag::PIXEL_REPRESENTATION,
    tag::RESCALE_INTERCEPT,
    tag::RESCALE_SLOPE,
    tag::FRAME_REFERENCE_TIME,
];

/// Functional groups and the attributes that are read from each.
const GROUPS: [(Tag, &[Tag]); 10] = [
    (
        tag::FRAME_CONTENT_SEQUENCE,
        &[
            tag::TEMPORAL_POSITION_INDEX,
            tag::STACK_ID,
            tag::FRAME_ACQUISITION_NUMBER,
        ],
    ),
    (tag::PLANE_POSITION_SEQUENCE, &[tag::IMAGE_POSITION]),
    (tag::PLANE_ORIENTATION_SEQUENCE, &[tag::IMAGE_ORIENTATION]),
    (
        tag::PIXEL_MEASURES_SEQUENCE,
        &[
            tag::PIXEL_SPACING,
            tag::SLICE_THICKNESS,
            tag::SPACING_BETWEEN_SLICES,
        ],
    ),
    (
        tag::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
        &[tag::RESCALE_SLOPE, tag::RESCALE_INTERCEPT],
    ),
    (tag::MR_ECHO_SEQUENCE, &[tag::EFFECTIVE_ECHO_TIME]),
    (tag::MR_DIFFUSION_SEQUENCE, &[tag::DIFFUSION_B_VALUE]),
    (tag::MR_IMAGE_FRAME_TYPE_SEQUENCE, &[tag::FRAME_TYPE]),
    (tag::CT_IMAGE_FRAME_TYPE_SEQUENCE, &[tag::FRAME_TYPE]),
    (
        tag::CARDIAC_SYNCHRONIZATION_SEQUENCE,
        &[tag::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME],
    ),
];

/// Memory in bytes of a frame, at least: its functional groups, its slice, and its place in stacks and layouts.
const FRAME_BYTES: u64 = 512;

fn is_functional(sequence: Tag) -> bool {
    sequence == tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE
        || sequence == tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE
}

impl Visitor for Elements {
    fn enters(&self, path: &[Tag], sequence: Tag) -> bool {
        match path {
            [] => is_functional(sequence) || sequence == tag::MODALITY_LUT_SEQUENCE,
            [functional] if is_functional(*functional) => {
                GROUPS.iter().any(|(group, _)| *group == sequence)
            }
            _ => false,
        }
    }

    fn longest(&self, tag: Tag) -> Longest {
        match tag {
            _ if PatientReader::wants(tag) => Longest::Refused(patient::BYTES_MAX),
            tag::SERIES_DESCRIPTION => Longest::Cut(VALUE_BYTES_MAX),
            _ => Longest::Refused(VALUE_BYTES_MAX),
        }
    }

    fn item_bytes(&self, path: &[Tag]) -> u64 {
        if path == [tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE] {
            FRAME_BYTES
        } else {
            ITEM_OVERHEAD
        }
    }

    fn begins(&mut self, path: &[Tag]) -> Result<(), DicomHeaderError> {
        match path {
            [step] if *step == tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE => {
                self.per_frame.begin()?;
            }
            [step] if *step == tag::MODALITY_LUT_SEQUENCE => self.modality_lut = true,
            _ => {}
        }
        Ok(())
    }

    fn wants(&self, path: &[Tag], tag: Tag) -> bool {
        match path {
            [] => TOP.contains(&tag) || PatientReader::wants(tag),
            [functional, group] if is_functional(*functional) => GROUPS
                .iter()
                .any(|(name, tags)| *name == *group && tags.contains(&tag)),
            _ => false,
        }
    }

    fn value(&mut self, path: &[Tag], tag: Tag, value: Vec<u8>) -> Result<(), DicomHeaderError> {
        if path.is_empty() && PatientReader::wants(tag) {
            self.patient.take(tag, &value);
            if tag != tag::SPECIFIC_CHARACTER_SET {
                return Ok(());
            }
        }
        let into = match path.first() {
            None => &mut self.top,
            Some(step) if *step == tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE => &mut self.shared,
            Some(_) => return self.per_frame.add(tag, &value),
        };
        into.entry(tag).or_insert(value);
        Ok(())
    }
}

impl Elements {
    pub fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            top: BTreeMap::new(),
            shared: BTreeMap::new(),
            per_frame: PerFrame::default(),
            modality_lut: false,
            patient: PatientReader::default(),
        }
    }

    /// The patient that the header names.
    pub fn patient(&self) -> PatientDigest {
        self.patient.patient()
    }

    /// The character sets of its texts.
    pub fn character_sets(&self) -> CharacterSets {
        let value = self.top.get(&tag::SPECIFIC_CHARACTER_SET);
        CharacterSets::of(value.map(Vec::as_slice))
    }

    /// The values of a frame, from 0: of its own functional groups, the shared ones, or the data set.
    pub fn of_frame(&self, frame: Option<usize>) -> ElementValues<'_> {
        ElementValues {
            encoding: self.encoding,
            own: frame.map(|frame| (&self.per_frame, frame)),
            maps: [Some(&self.shared), Some(&self.top)],
        }
    }

    fn values(&self) -> ElementValues<'_> {
        ElementValues {
            encoding: self.encoding,
            own: None,
            maps: [Some(&self.top), None],
        }
    }

    pub fn text(&self, tag: Tag) -> Option<String> {
        self.values().text(tag)
    }

    /// Text in the character sets of the data set.
    pub fn shown(&self, tag: Tag, characters: usize) -> Option<String> {
        let value = self.top.get(&tag)?;
        let shown = self.character_sets().decode(value, characters);
        Some(shown).filter(|shown| !shown.is_empty())
    }

    pub fn integer(&self, tag: Tag) -> Option<i64> {
        self.values().integer(tag)
    }

    /// A binary number of 16 bits.
    pub fn number(&self, tag: Tag) -> Result<Option<u16>, DicomHeaderError> {
        let Some(value) = self.top.get(&tag).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        match value.first_chunk() {
            Some(bytes) => Ok(Some(self.encoding.u16(*bytes))),
            None => Err(DicomHeaderError::Malformed {
                tag,
                expected: "a number of 16 bits",
            }),
        }
    }

    fn required(&self, tag: Tag) -> Result<u16, DicomHeaderError> {
        self.number(tag)?.ok_or(DicomHeaderError::Missing { tag })
    }

    pub fn extent(&self, tag: Tag) -> Result<usize, DicomHeaderError> {
        match self.required(tag)? {
            0 => Err(DicomHeaderError::Range {
                tag,
                found: 0.0,
                expected: "at least 1",
            }),
            found => Ok(usize::from(found)),
        }
    }

    pub fn format(&self) -> Result<PixelFormat, DicomHeaderError> {
        let range = |tag, found: u16, expected| DicomHeaderError::Range {
            tag,
            found: f64::from(found),
            expected,
        };
        let allocated = self.required(tag::BITS_ALLOCATED)?;
        if ![8, 16, 32].contains(&allocated) {
            return Err(range(tag::BITS_ALLOCATED, allocated, "8, 16 or 32"));
        }
        let stored = self.number(tag::BITS_STORED)?.unwrap_or(allocated);
        if stored == 0 || stored > allocated {
            return Err(range(
                tag::BITS_STORED,
                stored,
                "1 up to the bits allocated",
            ));
        }
        let high = self.number(tag::HIGH_BIT)?.unwrap_or(stored - 1);
        if high >= allocated || high + 1 < stored {
            return Err(range(
                tag::HIGH_BIT,
                high,
                "at least the bits stored less one, and less than the bits allocated",
            ));
        }
        let signed = self.required(tag::PIXEL_REPRESENTATION)?;
        if signed > 1 {
            return Err(range(tag::PIXEL_REPRESENTATION, signed, "0 or 1"));
        }
        Ok(PixelFormat {
            allocated: u32::from(allocated),
            stored: u32::from(stored),
            high: u32::from(high),
            signed: signed == 1,
        })
    }
}

/// Values of attributes, searched in several places.
pub(super) struct ElementValues<'a> {
    encoding: Encoding,
    own: Option<(&'a PerFrame, usize)>,
    maps: [Option<&'a BTreeMap<Tag, Vec<u8>>>; 2],
}

impl<'a> ElementValues<'a> {
    /// The value as it is stored.
    pub fn raw(&self, tag: Tag) -> Option<&'a [u8]> {
        let own = self.own.and_then(|(items, frame)| items.get(frame, tag));
        own.or_else(|| {
            let mut maps = self.maps.iter().flatten();
            maps.find_map(|map| map.get(&tag)).map(Vec::as_slice)
        })
    }

    /// Text without padding; `None` where it is absent or empty.
    pub fn text(&self, tag: Tag) -> Option<String> {
        self.raw(tag).map(text).filter(|text| !text.is_empty())
    }

    /// A whole number written as text; `None` where it is none.
    pub fn integer(&self, tag: Tag) -> Option<i64> {
        self.text(tag)?.split('\\').next()?.trim().parse().ok()
    }

    /// Numbers written as text.
    pub fn decimals<const N: usize>(&self, tag: Tag) -> Result<Option<[f64; N]>, DicomHeaderError> {
        let Some(text) = self.text(tag) else {
            return Ok(None);
        };
        let malformed = || DicomHeaderError::Malformed {
            tag,
            expected: match N {
                1 => "a number",
                2 => "2 numbers",
                3 => "3 numbers",
                _ => "6 numbers",
            },
        };
        let mut numbers = [0.0; N];
        let mut parts = text.split('\\');
        for number in &mut numbers {
            let part = parts.next().ok_or_else(malformed)?;
            *number = part
                .trim()
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .ok_or_else(malformed)?;
        }
        match parts.next() {
            Some(_) => Err(malformed()),
            None => Ok(Some(numbers)),
        }
    }

    /// A binary number of 64 bits.
    pub fn double(&self, stored: &[u8]) -> Option<f64> {
        let bytes = *stored.first_chunk()?;
        Some(if self.encoding.big {
            f64::from_be_bytes(bytes)
        } else {
            f64::from_le_bytes(bytes)
        })
    }

    /// A binary number of 32 bits.
    pub fn long(&self, stored: &[u8]) -> Option<u32> {
        Some(self.encoding.u32(*stored.first_chunk()?))
    }

    /// A binary number of 16 bits.
    pub fn short(&self, stored: &[u8]) -> Option<u16> {
        Some(self.encoding.u16(*stored.first_chunk()?))
    }
}
