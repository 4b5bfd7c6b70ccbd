//! Writes a DICOM file, element by element.

use std::io::{self, Write};
use std::path::Path;

use dicom_core::{DataElementHeader, Length, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::encode::explicit_le::ExplicitVRLittleEndianEncoder;
use dicom_encoding::encode::implicit_le::ImplicitVRLittleEndianEncoder;
use dicom_encoding::encode::{EncodeTo, EncoderFor};

use crate::dicom::instance::meta_information;
use crate::dicom::write::elements::ElementSet;
use crate::dicom::write::error::{DicomWriteError, Unwritable};
use vesal_files::atomic::{AtomicError, AtomicFile};

/// How elements and pixels are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Explicit VR little endian; values of some representations have at most 65534 bytes.
    Explicit,
    /// Implicit VR little endian, in which all values may be long.
    Implicit,
    /// Explicit, with run-length encoded pixels.
    Rle,
}

impl Syntax {
    pub(super) const fn uid(self) -> &'static str {
        match self {
            Self::Implicit => "1.2.840.10008.1.2",
            Self::Explicit => "1.2.840.10008.1.2.1",
            Self::Rle => "1.2.840.10008.1.2.5",
        }
    }
}

/// Largest length of an element: even, and not the value that means undefined length.
pub(super) const VALUE_BYTES_MAX: u64 = 0xffff_fffe;

/// A file that is written beside its destination and renamed.
pub(super) struct DicomOutput<'a> {
    path: &'a Path,
    file: AtomicFile,
    syntax: Syntax,
    buffer: Vec<u8>,
}

impl<'a> DicomOutput<'a> {
    /// Begins a file with its meta information (PS3.10 7.1).
    pub fn create(
        path: &'a Path,
        overwrite: bool,
        class: &str,
        instance: &str,
        syntax: Syntax,
    ) -> Result<Self, DicomWriteError> {
        let mut output = Self {
            path,
            file: AtomicFile::create(path, overwrite)?,
            syntax,
            buffer: Vec::new(),
        };
        let meta = meta_information(class, instance, syntax.uid());
        let encoded = meta.is_some();
        output.buffer = meta.unwrap_or_default();
        output.put(encoded)?;
        Ok(output)
    }

    /// Writes the buffer to the file.
    fn put(&mut self, encoded: bool) -> Result<(), DicomWriteError> {
        if !encoded {
            return Err(DicomWriteError::write(self.path)(Unwritable::Encoding));
        }
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|reason| io_error(self.path, reason))
    }

    fn encode(
        &mut self,
        encode: impl FnOnce(&dyn EncodeTo<Vec<u8>>, &mut Vec<u8>) -> bool,
    ) -> Result<(), DicomWriteError> {
        let encoded = match self.syntax {
            Syntax::Implicit => encode(&implicit(), &mut self.buffer),
            Syntax::Explicit | Syntax::Rle => encode(&explicit(), &mut self.buffer),
        };
        self.put(encoded)
    }

    /// Appends attributes, whose tags follow those written so far.
    pub fn elements(&mut self, items: &ElementSet) -> Result<(), DicomWriteError> {
        let (object, to) = (items.object(), &mut self.buffer);
        let encoded = match self.syntax {
            Syntax::Implicit => object.write_dataset(
                to,
                EncoderFor::new(ImplicitVRLittleEndianEncoder::default()),
            ),
            Syntax::Explicit | Syntax::Rle => object.write_dataset(
                to,
                EncoderFor::new(ExplicitVRLittleEndianEncoder::default()),
            ),
        };
        self.put(encoded.is_ok())
    }

    pub fn begin_sequence(&mut self, tag: Tag) -> Result<(), DicomWriteError> {
        let header = DataElementHeader::new(tag, VR::SQ, Length::UNDEFINED);
        self.encode(|encoder, to| encoder.encode_element_header(to, header).is_ok())
    }

    pub fn begin_item(&mut self) -> Result<(), DicomWriteError> {
        self.encode(|encoder, to| encoder.encode_item_header(to, Length::UNDEFINED.0).is_ok())
    }

    pub fn end_item(&mut self) -> Result<(), DicomWriteError> {
        self.encode(|encoder, to| encoder.encode_item_delimiter(to).is_ok())
    }

    /// Ends a sequence, or the fragments.
    pub fn end_sequence(&mut self) -> Result<(), DicomWriteError> {
        self.encode(|encoder, to| encoder.encode_sequence_delimiter(to).is_ok())
    }

    /// Appends a sequence, item by item.
    pub fn sequence(
        &mut self,
        tag: Tag,
        items: impl Iterator<Item = ElementSet>,
    ) -> Result<(), DicomWriteError> {
        self.begin_sequence(tag)?;
        for item in items {
            self.begin_item()?;
            self.elements(&item)?;
            self.end_item()?;
        }
        self.end_sequence()
    }

    /// Begins the pixels, of this many bytes or of fragments.
    pub fn pixels(&mut self, length: Option<u32>) -> Result<(), DicomWriteError> {
        let stated = length.map_or(Length::UNDEFINED, Length);
        let header = DataElementHeader::new(tags::PIXEL_DATA, VR::OB, stated);
        self.encode(|encoder, to| encoder.encode_element_header(to, header).is_ok())?;
        match length {
            Some(_) => Ok(()),
            // The table of offsets, which may be empty.
            None => self.fragment(&[]),
        }
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), DicomWriteError> {
        let written = self.file.write_all(bytes);
        written.map_err(|reason| io_error(self.path, reason))
    }

    /// Appends a fragment of an even number of bytes.
    pub fn fragment(&mut self, bytes: &[u8]) -> Result<(), DicomWriteError> {
        self.encode(|encoder, to| encoder.encode_item_header(to, bytes.len() as u32).is_ok())?;
        self.bytes(bytes)
    }

    pub fn commit(self) -> Result<(), DicomWriteError> {
        Ok(self.file.commit()?)
    }
}

fn explicit() -> EncoderFor<ExplicitVRLittleEndianEncoder, Vec<u8>> {
    EncoderFor::new(ExplicitVRLittleEndianEncoder::default())
}

fn implicit() -> EncoderFor<ImplicitVRLittleEndianEncoder, Vec<u8>> {
    EncoderFor::new(ImplicitVRLittleEndianEncoder::default())
}

fn io_error(path: &Path, reason: io::Error) -> DicomWriteError {
    DicomWriteError::Output(AtomicError::Io {
        path: path.to_owned(),
        reason,
    })
}
