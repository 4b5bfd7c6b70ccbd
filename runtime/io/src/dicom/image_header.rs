//! The header of an image file.

use std::fs::File;
use std::path::Path;

use crate::DEFLATE_EXPANSION_MAX;
use crate::dicom::class::IMAGE_CLASSES;
use crate::dicom::dataset::{self, Encoding, PixelElement};
use crate::dicom::elements::Elements;
use crate::dicom::error::DicomHeaderError;
use crate::dicom::frame_header::{self, FrameHeaders};
use crate::dicom::patient::PatientDigest;
use crate::dicom::pixel_format::PixelFormat;
use crate::dicom::syntax::TransferSyntax;
use crate::dicom::tag;
use crate::dicom::text::CHARACTERS_MAX;
use crate::dicom::uid::{is_uid, no_uid};

/// The header of an image of one or more frames of the same shape and format.
#[derive(Debug, Clone)]
pub(super) struct ImageHeader {
    pub syntax: TransferSyntax,
    pub patient: PatientDigest,
    pub instance: String,
    pub study: String,
    pub series: String,
    pub frame_of_reference: Option<String>,
    pub class: String,
    pub modality: String,
    pub description: Option<String>,
    pub series_number: Option<i64>,
    pub columns: usize,
    pub rows: usize,
    pub format: PixelFormat,
    pub pixels: PixelElement,
    pub frames: FrameHeaders,
}

/// Why a file is not an image that can be part of a stack.
#[derive(Debug)]
pub(super) enum NoImage {
    /// An object of another class; the UID of the class.
    Class(String),
    Localizer,
    /// Several samples per pixel, or a palette.
    Color,
    /// An image without pixels; its series, where it states one.
    NoPixels(Option<Box<StatedSeries>>),
    /// An unusable header; its series, where that was read.
    Defect(DicomHeaderError, Option<Box<StatedSeries>>),
}

/// The series of a file whose header is otherwise unusable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedSeries {
    /// UID of the study, where it is stated.
    pub study: Option<String>,
    /// UID of the series.
    pub series: String,
    /// Modality in DICOM's terms, such as `CT`; empty where it is not stated.
    pub modality: String,
    /// Series Description, where it is stated; free text of the operator.
    pub description: Option<String>,
}

impl StatedSeries {
    fn of(elements: &Elements) -> Option<Self> {
        let uid = |tag| elements.text(tag).filter(|uid| is_uid(uid));
        Some(Self {
            study: uid(tag::STUDY_INSTANCE_UID),
            series: uid(tag::SERIES_INSTANCE_UID)?,
            modality: modality(elements),
            description: description(elements),
        })
    }
}

fn modality(elements: &Elements) -> String {
    let modality = elements.text(tag::MODALITY).filter(|text| is_code(text));
    modality.unwrap_or_default()
}

fn description(elements: &Elements) -> Option<String> {
    elements.shown(tag::SERIES_DESCRIPTION, CHARACTERS_MAX)
}

/// Reads the header of a file, one of `files` files that are read together and share a memory limit.
pub(super) fn read(path: &Path, file: File, files: usize) -> Result<ImageHeader, NoImage> {
    let (stream, meta) = dataset::open(file).map_err(|reason| NoImage::Defect(reason, None))?;
    let mut stream = stream.one_of(files);
    let known = TransferSyntax::of(&meta.syntax);
    // The header of a syntax whose pixels cannot be decoded is explicit and little endian as a rule (PS3.5 A.4).
    let syntax = known.unwrap_or(TransferSyntax::ExplicitLittle);
    if syntax == TransferSyntax::Deflated {
        stream = stream.deflated();
    }
    let encoding = Encoding::of(syntax);
    let mut elements = Elements::new(encoding);
    let walked = dataset::walk(&mut stream, encoding, &mut elements);
    let series = StatedSeries::of(&elements).map(Box::new);
    let defect = |reason| NoImage::Defect(reason, series.clone());
    let Some(class) = elements.text(tag::SOP_CLASS_UID).or(meta.class) else {
        let tag = tag::SOP_CLASS_UID;
        return Err(defect(
            walked.err().unwrap_or(DicomHeaderError::Missing { tag }),
        ));
    };
    if !is_uid(&class) {
        return Err(defect(no_uid(tag::SOP_CLASS_UID)));
    }
    if !IMAGE_CLASSES.contains(&class.as_str()) {
        return Err(NoImage::Class(class));
    }
    let pixels = walked.map_err(defect)?;
    let pixels = pixels.ok_or_else(|| NoImage::NoPixels(series.clone()))?;
    if known.is_none() {
        return Err(defect(if is_uid(&meta.syntax) {
            DicomHeaderError::Syntax { uid: meta.syntax }
        } else {
            no_uid(tag::TRANSFER_SYNTAX_UID)
        }));
    }
    if elements.number(tag::SAMPLES_PER_PIXEL).map_err(defect)? > Some(1)
        || elements
            .text(tag::PHOTOMETRIC_INTERPRETATION)
            .is_some_and(|text| !text.starts_with("MONOCHROME"))
    {
        return Err(NoImage::Color);
    }
    let of_all = elements.of_frame(None);
    if elements.per_frame.len() == 0 && frame_header::is_localizer(&of_all) {
        return Err(NoImage::Localizer);
    }
    if frame_header::is_mosaic(&of_all) {
        return Err(defect(DicomHeaderError::Mosaic));
    }
    let frames = frame_header::count(&elements).map_err(defect)?;
    let header = ImageHeader::new(&elements, syntax, class, pixels).map_err(defect)?;
    // Checked before the frames are read.
    header
        .check_length(path, stream.rest(), frames as u64)
        .map_err(defect)?;
    let frames = FrameHeaders::read(&elements).map_err(defect)?;
    if frames.distinct().iter().any(|frame| frame.is_localizer) {
        return Err(NoImage::Localizer);
    }
    Ok(ImageHeader { frames, ..header })
}

/// Whether a text is a code string (PS3.5 6.2).
fn is_code(text: &str) -> bool {
    let of_code =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" _".contains(&byte);
    text.len() <= 16 && text.bytes().all(of_code)
}

impl ImageHeader {
    /// All but the frames.
    fn new(
        elements: &Elements,
        syntax: TransferSyntax,
        class: String,
        pixels: PixelElement,
    ) -> Result<Self, DicomHeaderError> {
        if pixels.tag != tag::PIXEL_DATA {
            return Err(DicomHeaderError::RealPixels);
        }
        if elements.modality_lut {
            return Err(DicomHeaderError::ModalityLut);
        }
        let uid = |tag| match elements.text(tag) {
            Some(uid) if !is_uid(&uid) => Err(no_uid(tag)),
            uid => Ok(uid),
        };
        let required = |tag| uid(tag)?.ok_or(DicomHeaderError::Missing { tag });
        Ok(Self {
            syntax,
            patient: elements.patient(),
            instance: required(tag::SOP_INSTANCE_UID)?,
            study: required(tag::STUDY_INSTANCE_UID)?,
            series: required(tag::SERIES_INSTANCE_UID)?,
            frame_of_reference: uid(tag::FRAME_OF_REFERENCE_UID)?,
            class,
            modality: modality(elements),
            description: description(elements),
            series_number: elements.integer(tag::SERIES_NUMBER),
            columns: elements.extent(tag::COLUMNS)?,
            rows: elements.extent(tag::ROWS)?,
            format: elements.format()?,
            pixels,
            frames: FrameHeaders::default(),
        })
    }

    /// Bytes of one frame as stored without compression.
    pub fn frame_bytes(&self) -> u64 {
        // Rows and columns have 16 bits each.
        (self.rows * self.columns) as u64 * u64::from(self.format.allocated / 8)
    }

    /// Checks the length of the pixels, without reading them.
    fn check_length(
        &self,
        path: &Path,
        rest: Option<u64>,
        frames: u64,
    ) -> Result<(), DicomHeaderError> {
        let expected = self.frame_bytes().saturating_mul(frames);
        let Some(stated) = self.pixels.length else {
            return if self.syntax.is_encapsulated() {
                Ok(())
            } else {
                Err(DicomHeaderError::PixelBytes { found: 0, expected })
            };
        };
        if self.syntax.is_encapsulated() {
            return Err(DicomHeaderError::Malformed {
                tag: tag::PIXEL_DATA,
                expected: "fragments, as its transfer syntax demands",
            });
        }
        let there = match rest {
            Some(rest) => rest,
            None => path
                .metadata()
                .map_err(DicomHeaderError::io)?
                .len()
                .saturating_mul(DEFLATE_EXPANSION_MAX),
        };
        let found = stated.min(there);
        if found < expected {
            return Err(DicomHeaderError::PixelBytes { found, expected });
        }
        Ok(())
    }
}
