//! Position, scaling and distinguishing keys of the frames of an image.

use crate::FAR_MM;
use crate::dicom::distinguishing_key::{DistinguishingKey, KeyValues};
use crate::dicom::elements::{ElementValues, Elements};
use crate::dicom::error::DicomHeaderError;
use crate::dicom::tag::{self, Tag};

/// Largest deviation of a direction from unit length, and of two from a right angle.
const DIRECTION_TOLERANCE: f64 = 0.01;

/// Position and scaling of one frame; world coordinates are DICOM's: millimeters toward left, posterior, superior.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FrameHeader {
    /// Center of the first pixel.
    pub position_lps: [f64; 3],
    /// Unit vector along a row, where columns grow.
    pub along_row_lps: [f64; 3],
    /// Unit vector along a column, where rows grow.
    pub along_column_lps: [f64; 3],
    /// Distance in mm between the centers of columns, and of rows.
    pub pixel_mm: [f64; 2],
    /// Spacing between slices or, failing that, slice thickness in mm; counts for a single slice only.
    pub depth_mm: Option<f64>,
    pub slope: f64,
    pub intercept: f64,
    /// Whether it is a localizer.
    pub is_localizer: bool,
    /// For each key, the number of its value among those of all frames, from 1; 0 where it has none.
    keys: [u32; DistinguishingKey::ALL.len()],
}

/// The headers of the frames of an image; equal ones are kept once, as are the values of their keys.
#[derive(Debug, Clone, Default)]
pub(super) struct FrameHeaders {
    distinct: Vec<FrameHeader>,
    /// For each frame, its index in `distinct`.
    places: Vec<u32>,
    key_values: Vec<Box<str>>,
}

/// Number of frames of an image: as many as it has functional groups, or one without any.
pub(super) fn count(elements: &Elements) -> Result<usize, DicomHeaderError> {
    let plain = elements.of_frame(None);
    let stated = plain.integer(tag::NUMBER_OF_FRAMES).unwrap_or(1).max(0) as u64;
    let groups = elements.per_frame.len();
    if groups == 0 && stated == 1 {
        return Ok(1);
    }
    if groups as u64 != stated || groups == 0 {
        return Err(DicomHeaderError::FunctionalGroups {
            frames: stated,
            groups,
        });
    }
    Ok(groups)
}

impl FrameHeaders {
    /// Reads the frames, whose number is that of [`count`].
    ///
    /// **Errors**: a frame is a mosaic, has no position, or has no pixel spacing.
    pub fn read(elements: &Elements) -> Result<Self, DicomHeaderError> {
        let mut frames = Self::default();
        let mut values = KeyValues::new(elements.character_sets());
        if elements.per_frame.len() == 0 {
            frames.add(&elements.of_frame(None), &mut values)?;
        }
        for (frame, first) in elements.per_frame.first_alike().into_iter().enumerate() {
            if first < frame {
                frames.places.push(frames.places[first]);
            } else {
                frames.add(&elements.of_frame(Some(frame)), &mut values)?;
            }
        }
        frames.key_values = values.texts();
        Ok(frames)
    }

    fn add<'a>(
        &mut self,
        values: &ElementValues<'a>,
        key_values: &mut KeyValues<'a>,
    ) -> Result<(), DicomHeaderError> {
        let mut frame = FrameHeader::new(values)?;
        for (key, number) in DistinguishingKey::ALL.into_iter().zip(&mut frame.keys) {
            *number = key_values.number(key, values);
        }
        self.places.push(self.distinct.len() as u32);
        self.distinct.push(frame);
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// A frame, from 0.
    pub fn get(&self, frame: usize) -> &FrameHeader {
        &self.distinct[self.places[frame] as usize]
    }

    /// The value of a key of a frame, from 0.
    pub fn key(&self, frame: usize, key: DistinguishingKey) -> Option<&str> {
        let number = self.get(frame).keys[key as usize];
        let value = self.key_values.get((number as usize).checked_sub(1)?)?;
        Some(value)
    }

    pub fn distinct(&self) -> &[FrameHeader] {
        &self.distinct
    }
}

impl FrameHeader {
    fn new(values: &ElementValues) -> Result<Self, DicomHeaderError> {
        if is_mosaic(values) {
            return Err(DicomHeaderError::Mosaic);
        }
        if is_localizer(values) {
            return Ok(Self::localizer());
        }
        let missing = |tag| DicomHeaderError::Missing { tag };
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
            return Err(DicomHeaderError::Range {
                tag: tag::PIXEL_SPACING,
                found,
                expected: "more than 0 mm",
            });
        }
        within(tag::PIXEL_SPACING, &pixel_mm)?;
        let depth = |tag| -> Result<Option<f64>, DicomHeaderError> {
            let stated = values.decimals::<1>(tag)?.unwrap_or_default();
            within(tag, &stated)?;
            Ok(Some(stated[0]).filter(|mm| *mm > 0.0))
        };
        let scale = |tag, default| -> Result<f64, DicomHeaderError> {
            Ok(values.decimals::<1>(tag)?.map_or(default, |[value]| value))
        };
        let slope = scale(tag::RESCALE_SLOPE, 1.0)?;
        if slope == 0.0 {
            return Err(DicomHeaderError::Range {
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

    /// A frame that is skipped; its position is not read.
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

/// Whether the third value of the frame type, or else of the image type, is `LOCALIZER` (PS3.3 C.8.2.1.1.1 and
/// C.8.16.1.1).
pub(super) fn is_localizer(values: &ElementValues) -> bool {
    let frame_type = values.text(tag::FRAME_TYPE);
    frame_type
        .or_else(|| values.text(tag::IMAGE_TYPE))
        .is_some_and(|text| is_any_of(&text, &["LOCALIZER", "SCOUT"]))
}

/// Whether image type or frame type contain `MOSAIC`, a value of Siemens scanners for an image whose tiles are the
/// slices of a volume.
pub(super) fn is_mosaic(values: &ElementValues) -> bool {
    let mut types = [tag::FRAME_TYPE, tag::IMAGE_TYPE]
        .into_iter()
        .filter_map(|tag| values.text(tag));
    types.any(|text| is_any_of(&text, &["MOSAIC"]))
}

fn is_any_of(image_type: &str, wanted: &[&str]) -> bool {
    let mut values = image_type.split('\\');
    values.any(|value| wanted.contains(&value.trim()))
}

/// Checks that coordinates or distances are within [`FAR_MM`].
fn within(tag: Tag, mm: &[f64]) -> Result<(), DicomHeaderError> {
    match mm.iter().find(|mm| mm.abs() > FAR_MM) {
        Some(&found) => Err(DicomHeaderError::Range {
            tag,
            found,
            expected: "at most 1000000 mm",
        }),
        None => Ok(()),
    }
}

/// The directions of rows and columns at unit length.
fn directions(orientation: [f64; 6]) -> Result<[[f64; 3]; 2], DicomHeaderError> {
    let [a, b, c, d, e, f] = orientation;
    let out_of_range = |found| DicomHeaderError::Range {
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

/// Displacement of the first pixel of `a` from that of `b`, in LPS mm.
pub(super) fn difference(a: &FrameHeader, b: &FrameHeader) -> [f64; 3] {
    std::array::from_fn(|axis| a.position_lps[axis] - b.position_lps[axis])
}
