//! The UIDs of the object in a file, and the file meta information in front of a data set.

use std::fs::File;
use std::path::Path;

use dicom_object::FileMetaTableBuilder;

use crate::dicom::dataset::{self, Encoding, Visitor};
use crate::dicom::error::DicomHeaderError;
use crate::dicom::syntax::TransferSyntax;
use crate::dicom::tag::{self, Tag};
use crate::dicom::text::text;
use crate::dicom::uid::{is_uid, no_uid};
use crate::dicom::write::uid::{digest, uid};

/// Implementation Version Name of this program, at most 16 characters.
pub const IMPLEMENTATION_VERSION: &str = concat!("VESAL_", env!("CARGO_PKG_VERSION"));

const _: () = assert!(IMPLEMENTATION_VERSION.len() <= 16);

/// Implementation Class UID of this program (PS3.7 D.3.3.2).
pub fn implementation_class() -> String {
    uid(&digest(["vesal", "implementation"]))
}

/// The UIDs of an object, and where its data set begins. Nothing else of the data set is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// UID of the SOP class.
    pub class: String,
    /// UID of the instance.
    pub instance: String,
    /// UID of the study.
    pub study: String,
    /// UID of the series.
    pub series: String,
    /// UID of the transfer syntax.
    pub syntax: String,
    /// Byte of the file at which the data set begins, after the meta information.
    pub data_set: u64,
    pub has_pixels: bool,
}

impl Instance {
    /// Reads the UIDs of a file, and walks to its pixels or its end.
    ///
    /// **Errors**: as for any header; a UID is absent or invalid; pixels that state their length are truncated.
    pub fn read(path: &Path) -> Result<Self, DicomHeaderError> {
        Self::read_within(path, &|| true)
    }

    /// Reads as [`Instance::read`] does, while `goes_on` returns `true`. It is called every few milliseconds, so that
    /// deadlines are kept for any file.
    ///
    /// **Errors**: [`DicomHeaderError::Stopped`] once it returns `false`; others as [`Instance::read`].
    pub fn read_within(path: &Path, goes_on: &dyn Fn() -> bool) -> Result<Self, DicomHeaderError> {
        let file = File::open(path).map_err(DicomHeaderError::io)?;
        let (mut stream, meta) = dataset::open_while(file, goes_on)?;
        let data_set = stream.position();
        let Some(syntax) = TransferSyntax::of(&meta.syntax) else {
            return Err(if is_uid(&meta.syntax) {
                DicomHeaderError::Syntax { uid: meta.syntax }
            } else {
                no_uid(tag::TRANSFER_SYNTAX_UID)
            });
        };
        if syntax == TransferSyntax::Deflated {
            stream = stream.deflated();
        }
        let mut uids = Uids::default();
        let pixels = dataset::walk(&mut stream, Encoding::of(syntax), &mut uids)?;
        if let Some(pixels) = pixels
            && let (Some(length), Some(rest)) = (pixels.length, stream.rest())
            && length > rest
        {
            return Err(DicomHeaderError::PixelBytes {
                found: rest,
                expected: length,
            });
        }
        let [class, instance, study, series] = uids.0;
        Ok(Self {
            class: checked(class, TAGS[0])?,
            instance: checked(instance, TAGS[1])?,
            study: checked(study, TAGS[2])?,
            series: checked(series, TAGS[3])?,
            syntax: meta.syntax,
            data_set,
            has_pixels: pixels.is_some(),
        })
    }
}

const TAGS: [Tag; 4] = [
    tag::SOP_CLASS_UID,
    tag::SOP_INSTANCE_UID,
    tag::STUDY_INSTANCE_UID,
    tag::SERIES_INSTANCE_UID,
];

fn checked(value: Option<String>, tag: Tag) -> Result<String, DicomHeaderError> {
    let uid = value.ok_or(DicomHeaderError::Missing { tag })?;
    if is_uid(&uid) {
        Ok(uid)
    } else {
        Err(no_uid(tag))
    }
}

#[derive(Default)]
struct Uids([Option<String>; 4]);

impl Visitor for Uids {
    fn enters(&self, _: &[Tag], _: Tag) -> bool {
        false
    }

    fn wants(&self, path: &[Tag], tag: Tag) -> bool {
        path.is_empty() && TAGS.contains(&tag)
    }

    fn begins(&mut self, _: &[Tag]) -> Result<(), DicomHeaderError> {
        Ok(())
    }

    fn value(&mut self, _: &[Tag], tag: Tag, value: Vec<u8>) -> Result<(), DicomHeaderError> {
        for (wanted, uid) in TAGS.iter().zip(&mut self.0) {
            if *wanted == tag {
                let text = text(&value);
                *uid = uid.take().or((!text.is_empty()).then_some(text));
            }
        }
        Ok(())
    }
}

/// Preamble and meta information (PS3.10 7.1) before a data set in a file; `None` for texts that cannot be encoded.
pub fn meta_information(class: &str, instance: &str, syntax: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(class)
        .media_storage_sop_instance_uid(instance)
        .transfer_syntax(syntax)
        .implementation_class_uid(implementation_class())
        .implementation_version_name(IMPLEMENTATION_VERSION)
        .build()
        .ok()?
        .write(&mut bytes)
        .ok()?;
    Some(bytes)
}
