//! Where a frame lies, how its values are scaled, and what tells it from others at the same place.

use std::collections::HashMap;

use crate::FAR_MM;
use crate::dicom::elements::{Elements, Values};
use crate::dicom::error::HeaderError;
use crate::dicom::tag::{self, Tag};
use crate::dicom::text::CharacterSets;

/// Largest deviation of a direction from unit length, and of two from a right angle.
const DIRECTION_TOLERANCE: f64 = 0.01;

/// One slice, in DICOM's own coordinates: millimeters toward left, posterior, superior.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    /// Center of the first pixel.
    pub position_lps: [f64; 3],
    /// Unit vector along a row, where columns grow.
    pub along_row_lps: [f64; 3],
    /// Unit vector along a column, where rows grow.
    pub along_column_lps: [f64; 3],
    /// Distance in mm between the centers of columns, and of rows.
    pub pixel_mm: [f64; 2],
    /// Distance between slices or, failing that, their thickness in mm: what a lone slice is believed.
    pub depth_mm: Option<f64>,
    pub slope: f64,
    pub intercept: f64,
    /// Whether it is an overview, not a slice to be diagnosed.
    pub is_localizer: bool,
    /// Of each key, the number of its value among those of all frames, from 1; 0 where it has none.
    keys: [u32; Key::ALL.len()],
}

/// The frames of an image. Those that are alike are kept once, and so are the values of their keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Frames {
    distinct: Vec<Frame>,
    /// Of each frame, its place among the distinct ones.
    places: Vec<u32>,
    key_values: Vec<Box<str>>,
}

/// What may tell slices at one place from each other, in the order in which it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Stack ID of enhanced images.
    StackId,
    /// Temporal position identifier or index.
    TemporalPosition,
    /// Echo number.
    EchoNumber,
    /// Echo time in ms.
    EchoTime,
    /// Diffusion b-value in s/mm².
    BValue,
    /// Delay in ms after the heart's trigger.
    TriggerTime,
    /// Reference time of a PET frame in ms.
    FrameReferenceTime,
    /// Image type or frame type.
    ImageType,
    /// Acquisition number.
    Acquisition,
    /// Time of the acquisition's start.
    AcquisitionTime,
}

impl Key {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 10] = [
        Self::StackId,
        Self::TemporalPosition,
        Self::EchoNumber,
        Self::EchoTime,
        Self::BValue,
        Self::TriggerTime,
        Self::FrameReferenceTime,
        Self::ImageType,
        Self::Acquisition,
        Self::AcquisitionTime,
    ];

    /// What it is called in messages and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::StackId => "stack",
            Self::TemporalPosition => "temporal position",
            Self::EchoNumber => "echo",
            Self::EchoTime => "echo time",
            Self::BValue => "b-value",
            Self::TriggerTime => "trigger time",
            Self::FrameReferenceTime => "frame reference time",
            Self::ImageType => "image type",
            Self::Acquisition => "acquisition",
            Self::AcquisitionTime => "acquisition time",
        }
    }

    fn of(self, values: &Values, sets: &CharacterSets) -> Option<String> {
        let double = |tag| values.double(tag).map(|value| value.to_string());
        let text = |tag| {
            let shown = sets.decode(values.raw(tag)?, usize::MAX);
            Some(shown).filter(|shown| !shown.is_empty())
        };
        match self {
            Self::StackId => text(tag::STACK_ID),
            Self::TemporalPosition => values
                .long(tag::TEMPORAL_POSITION_INDEX)
                .map(|index| index.to_string())
                .or_else(|| text(tag::TEMPORAL_POSITION_IDENTIFIER)),
            Self::EchoNumber => text(tag::ECHO_NUMBERS),
            Self::EchoTime => double(tag::EFFECTIVE_ECHO_TIME).or_else(|| text(tag::ECHO_TIME)),
            Self::BValue => double(tag::DIFFUSION_B_VALUE),
            Self::TriggerTime => {
                double(tag::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME).or_else(|| text(tag::TRIGGER_TIME))
            }
            Self::FrameReferenceTime => text(tag::FRAME_REFERENCE_TIME),
            Self::ImageType => text(tag::FRAME_TYPE).or_else(|| text(tag::IMAGE_TYPE)),
            Self::Acquisition => values
                .short(tag::FRAME_ACQUISITION_NUMBER)
                .map(|number| number.to_string())
                .or_else(|| text(tag::ACQUISITION_NUMBER)),
            Self::AcquisitionTime => text(tag::ACQUISITION_TIME),
        }
    }
}

/// How many frames an image has: one, unless it says otherwise, and then as many as it has functional groups.
pub(super) fn count(elements: &Elements) -> Result<usize, HeaderError> {
    let plain = elements.of_frame(None);
    let stated = plain.integer(tag::NUMBER_OF_FRAMES).unwrap_or(1).max(0) as u64;
    let groups = elements.per_frame.len();
    if groups == 0 && stated == 1 {
        return Ok(1);
    }
    if groups as u64 != stated || groups == 0 {
        return Err(HeaderError::FunctionalGroups {
            frames: stated,
            groups,
        });
    }
    Ok(groups)
}

/// What the image type or frame type of a data set says, as far as it has one that holds for all frames.
pub(super) fn image_type(elements: &Elements) -> String {
    let plain = elements.of_frame(None);
    let image_type = plain.text(tag::FRAME_TYPE);
    image_type
        .or_else(|| plain.text(tag::IMAGE_TYPE))
        .unwrap_or_default()
}

impl Frames {
    /// Reads the frames, whose number is that of [`count`].
    pub fn read(elements: &Elements) -> Result<Self, HeaderError> {
        let groups = elements.per_frame.len();
        let sets = elements.character_sets();
        let mut frames = Self::default();
        let mut known: HashMap<Box<str>, u32> = HashMap::new();
        if groups == 0 {
            frames.add(&elements.of_frame(None), &sets, &mut known)?;
        }
        for frame in 0..groups {
            match frame.checked_sub(1) {
                Some(before) if elements.per_frame.is_same(before, frame) => {
                    frames.places.push(frames.places[before]);
                }
                _ => frames.add(&elements.of_frame(Some(frame)), &sets, &mut known)?,
            }
        }
        Ok(frames)
    }

    fn add(
        &mut self,
        values: &Values,
        sets: &CharacterSets,
        known: &mut HashMap<Box<str>, u32>,
    ) -> Result<(), HeaderError> {
        let mut frame = Frame::new(values)?;
        for (key, number) in Key::ALL.into_iter().zip(&mut frame.keys) {
            let Some(value) = key.of(values, sets) else {
                continue;
            };
            *number = match known.get(value.as_str()) {
                Some(number) => *number,
                None => {
                    self.key_values.push(value.clone().into());
                    let number = self.key_values.len() as u32;
                    known.insert(value.into(), number);
                    number
                }
            };
        }
        self.places.push(self.distinct.len() as u32);
        self.distinct.push(frame);
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// A frame, from 0.
    pub fn get(&self, frame: usize) -> &Frame {
        &self.distinct[self.places[frame] as usize]
    }

    /// The value of a key of a frame, from 0.
    pub fn key(&self, frame: usize, key: Key) -> Option<&str> {
        let number = self.get(frame).keys[key as usize];
        let value = self.key_values.get((number as usize).checked_sub(1)?)?;
        Some(value)
    }

    /// Those that differ.
    pub fn distinct(&self) -> &[Frame] {
        &self.distinct
    }
}

impl Frame {
    fn new(values: &Values) -> Result<Self, HeaderError> {
        if values
            .text(tag::FRAME_TYPE)
            .or_else(|| values.text(tag::IMAGE_TYPE))
            .is_some_and(|text| is_localizer(&text))
        {
            return Ok(Self::localizer());
        }
        let missing = |tag| HeaderError::Missing { tag };
        let position_lps = values
            .decimals(tag::IMAGE_POSITION)?
            .ok_or(missing(tag::IMAGE_POSITION))?;
        within(tag::IMAGE_POSITION, &position_lps)?;
        let orientation: [f64; 6] = values
            .decimals(tag::IMAGE_ORIENTATION)?
            .ok_or(missing(tag::IMAGE_ORIENTATION))?;
        let [along_row_lps, along_column_lps] = directions(orientation)?;
        let [between_rows, between_columns] = values
            .decimals(tag::PIXEL_SPACING)?
            .ok_or(missing(tag::PIXEL_SPACING))?;
        let pixel_mm = [between_columns, between_rows];
        if let Some(&found) = pixel_mm.iter().find(|mm| **mm <= 0.0) {
            return Err(HeaderError::Range {
                tag: tag::PIXEL_SPACING,
                found,
                expected: "more than 0 mm",
            });
        }
        within(tag::PIXEL_SPACING, &pixel_mm)?;
        let depth = |tag| -> Result<Option<f64>, HeaderError> {
            let stated = values.decimals::<1>(tag)?.unwrap_or_default();
            within(tag, &stated)?;
            Ok(Some(stated[0]).filter(|mm| *mm > 0.0))
        };
        let scale = |tag, default| -> Result<f64, HeaderError> {
            Ok(values.decimals::<1>(tag)?.map_or(default, |[value]| value))
        };
        let slope = scale(tag::RESCALE_SLOPE, 1.0)?;
        if slope == 0.0 {
            return Err(HeaderError::Range {
                tag: tag::RESCALE_SLOPE,
                found: slope,
                expected: "another number than 0",
            });
        }
        Ok(Self {
            position_lps,
            along_row_lps,
            along_column_lps,
            pixel_mm,
            depth_mm: depth(tag::SPACING_BETWEEN_SLICES)?.or(depth(tag::SLICE_THICKNESS)?),
            slope,
            intercept: scale(tag::RESCALE_INTERCEPT, 0.0)?,
            is_localizer: false,
            keys: Default::default(),
        })
    }

    /// A frame that is left out, wherever it may lie.
    fn localizer() -> Self {
        Self {
            position_lps: [0.0; 3],
            along_row_lps: [1.0, 0.0, 0.0],
            along_column_lps: [0.0, 1.0, 0.0],
            pixel_mm: [1.0; 2],
            depth_mm: None,
            slope: 1.0,
            intercept: 0.0,
            is_localizer: true,
            keys: Default::default(),
        }
    }

    /// Unit vector through the slice: right-handed with rows and columns.
    pub fn normal_lps(&self) -> [f64; 3] {
        let [a, b] = [self.along_row_lps, self.along_column_lps];
        [
            a[1] * b[2] - a[2] * b[1],
            a[2] * b[0] - a[0] * b[2],
            a[0] * b[1] - a[1] * b[0],
        ]
    }
}

/// Whether the third value of an image type says so (PS3.3 C.8.2.1.1.1 and C.8.16.1.1).
pub(super) fn is_localizer(image_type: &str) -> bool {
    image_type
        .split('\\')
        .any(|value| matches!(value.trim(), "LOCALIZER" | "SCOUT"))
}

/// Whether an image type says that the slices of a volume are tiles of the image: scanners of Siemens add that value.
pub(super) fn is_mosaic(image_type: &str) -> bool {
    let mut values = image_type.split('\\');
    values.any(|value| value.trim() == "MOSAIC")
}

/// Checks that coordinates or distances can be of a scanner.
fn within(tag: Tag, mm: &[f64]) -> Result<(), HeaderError> {
    match mm.iter().find(|mm| mm.abs() > FAR_MM) {
        Some(&found) => Err(HeaderError::Range {
            tag,
            found,
            expected: "at most 1000000 mm",
        }),
        None => Ok(()),
    }
}

/// The directions of rows and columns at unit length.
fn directions(orientation: [f64; 6]) -> Result<[[f64; 3]; 2], HeaderError> {
    let [a, b, c, d, e, f] = orientation;
    let out_of_range = |found| HeaderError::Range {
        tag: tag::IMAGE_ORIENTATION,
        found,
        expected: "two perpendicular directions of length 1",
    };
    let mut directions = [[a, b, c], [d, e, f]];
    for direction in &mut directions {
        let length = dot(*direction, *direction).sqrt();
        if (length - 1.0).abs() > DIRECTION_TOLERANCE {
            return Err(out_of_range(length));
        }
        *direction = direction.map(|component| component / length);
    }
    let cosine = dot(directions[0], directions[1]);
    if cosine.abs() > DIRECTION_TOLERANCE {
        return Err(out_of_range(cosine));
    }
    Ok(directions)
}

pub(super) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
