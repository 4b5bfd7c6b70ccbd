//! Where a frame lies, how its values are scaled, and what tells it from others at the same place.

use crate::dicom::elements::{Elements, Values};
use crate::dicom::error::HeaderError;
use crate::dicom::tag::{self, Tag};

/// Farthest from the origin that anything lies, and longest distance: no scanner is a kilometer long.
const FAR_MM: f64 = 1e6;

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
    pub keys: Vec<(Key, String)>,
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

    fn of(self, values: &Values) -> Option<String> {
        let double = |tag| values.double(tag).map(|value| value.to_string());
        match self {
            Self::StackId => values.text(tag::STACK_ID),
            Self::TemporalPosition => values
                .long(tag::TEMPORAL_POSITION_INDEX)
                .map(|index| index.to_string())
                .or_else(|| values.text(tag::TEMPORAL_POSITION_IDENTIFIER)),
            Self::EchoNumber => values.text(tag::ECHO_NUMBERS),
            Self::EchoTime => {
                double(tag::EFFECTIVE_ECHO_TIME).or_else(|| values.text(tag::ECHO_TIME))
            }
            Self::BValue => double(tag::DIFFUSION_B_VALUE),
            Self::TriggerTime => double(tag::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME)
                .or_else(|| values.text(tag::TRIGGER_TIME)),
            Self::FrameReferenceTime => values.text(tag::FRAME_REFERENCE_TIME),
            Self::ImageType => values
                .text(tag::FRAME_TYPE)
                .or_else(|| values.text(tag::IMAGE_TYPE)),
            Self::Acquisition => values
                .short(tag::FRAME_ACQUISITION_NUMBER)
                .map(|number| number.to_string())
                .or_else(|| values.text(tag::ACQUISITION_NUMBER)),
            Self::AcquisitionTime => values.text(tag::ACQUISITION_TIME),
        }
    }
}

/// The frames of an image: one of a plain image, as many as it has functional groups of an enhanced one.
pub(super) fn frames(elements: &Elements) -> Result<Vec<Frame>, HeaderError> {
    let plain = elements.of_frame(None);
    let stated = plain.integer(tag::NUMBER_OF_FRAMES).unwrap_or(1).max(0) as u64;
    let groups = elements.per_frame.len();
    if groups == 0 && stated == 1 {
        return Ok(vec![Frame::new(&plain)?]);
    }
    if groups as u64 != stated || groups == 0 {
        return Err(HeaderError::FunctionalGroups {
            frames: stated,
            groups,
        });
    }
    (0..groups)
        .map(|frame| Frame::new(&elements.of_frame(Some(frame))))
        .collect()
}

impl Frame {
    fn new(values: &Values) -> Result<Self, HeaderError> {
        if values
            .text(tag::FRAME_TYPE)
            .or_else(|| values.text(tag::IMAGE_TYPE))
            .is_some_and(|text| is_localizer(&text))
        {
            return Ok(Self::localizer(values));
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
            keys: keys(values),
        })
    }

    /// A frame that is left out, wherever it may lie.
    fn localizer(values: &Values) -> Self {
        Self {
            position_lps: [0.0; 3],
            along_row_lps: [1.0, 0.0, 0.0],
            along_column_lps: [0.0, 1.0, 0.0],
            pixel_mm: [1.0; 2],
            depth_mm: None,
            slope: 1.0,
            intercept: 0.0,
            keys: keys(values),
        }
    }

    /// Whether it is an overview, not a slice to be diagnosed.
    pub fn is_localizer(&self) -> bool {
        self.key(Key::ImageType).is_some_and(is_localizer)
    }

    /// The value of a key.
    pub fn key(&self, key: Key) -> Option<&str> {
        self.keys
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.as_str())
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

fn keys(values: &Values) -> Vec<(Key, String)> {
    Key::ALL
        .into_iter()
        .filter_map(|key| Some((key, key.of(values)?)))
        .collect()
}

/// Whether the third value of an image type says so (PS3.3 C.8.2.1.1.1 and C.8.16.1.1).
fn is_localizer(image_type: &str) -> bool {
    image_type
        .split('\\')
        .any(|value| matches!(value.trim(), "LOCALIZER" | "SCOUT"))
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
