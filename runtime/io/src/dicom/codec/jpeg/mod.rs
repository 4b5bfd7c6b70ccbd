//! JPEG with one component: sequential and progressive cosine transform with 8 or 12 bits, and lossless with 2 to 16,
//! all Huffman coded.
//!
//! **Source**: ITU-T T.81; names of tables and parameters are those of its annexes B, F, G and H.

mod cosine;
mod headers;
mod lossless;
mod restarts;

use self::headers::{
    JpegFrame, Process, SegmentReader, Tables, frame_header, huffman_tables, quantization_tables,
    scan_header,
};
use crate::dicom::codec::bits::{Bits, Stuffing};
use crate::dicom::codec::error::CodecError;
use crate::dicom::codec::shape::FrameShape;

/// Decodes a frame; returns its samples and their precision in bits.
pub(super) fn decode(bytes: &[u8], shape: FrameShape) -> Result<(Vec<u16>, u32), CodecError> {
    let mut segments = Segments::new(bytes)?;
    let mut tables = Tables::default();
    let mut frame: Option<JpegFrame> = None;
    let mut coefficients: Vec<i32> = Vec::new();
    let mut scans = 0;
    loop {
        let (marker, segment) = segments.next()?;
        match marker {
            0xd9 => break,
            0xc4 => huffman_tables(segment, &mut tables)?,
            0xdb => quantization_tables(segment, &mut tables)?,
            0xdd => tables.restart = usize::from(SegmentReader(segment).u16()?),
            0xc0..=0xc3 if frame.is_none() => frame = Some(frame_header(marker, segment, shape)?),
            0xc0..=0xcf => return Err(CodecError::Unsupported("their kind of JPEG")),
            0xdc => return Err(CodecError::Unsupported("a number of lines behind the scan")),
            0xda => {
                let frame = frame.ok_or(CodecError::Damaged("a scan of theirs has no frame"))?;
                let scan = scan_header(segment, &frame)?;
                let bits = Bits::new(bytes, segments.at, Stuffing::Byte);
                if frame.process == Process::Lossless {
                    let samples = lossless::decode(bits, &frame, &scan, &tables)?;
                    return Ok((samples, frame.precision));
                }
                // The bits of a coefficient bound the number of refinements; more scans are malicious.
                scans += 1;
                if scans > 64 * 16 {
                    return Err(CodecError::Damaged("they have too many scans"));
                }
                if coefficients.is_empty() {
                    coefficients.resize(cosine::coefficients(frame.shape), 0);
                }
                segments.at = cosine::scan(bits, &frame, &scan, &tables, &mut coefficients)?;
                if frame.process == Process::Sequential {
                    break;
                }
            }
            _ => {}
        }
    }
    let frame = frame.ok_or(CodecError::Damaged("they have no frame"))?;
    if coefficients.is_empty() {
        return Err(CodecError::Damaged("they have no scan"));
    }
    let quantization = tables.quantization[usize::from(frame.quantization & 3)]
        .ok_or(CodecError::Damaged("their quantization table is absent"))?;
    let samples = cosine::samples(&coefficients, &quantization, &frame);
    Ok((samples, frame.precision))
}

/// Iterates over marker segments.
struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, CodecError> {
        if bytes.starts_with(&[0xff, 0xd8]) {
            Ok(Self { bytes, at: 2 })
        } else {
            Err(CodecError::Damaged("they do not start as JPEG does"))
        }
    }

    /// The next marker and its segment.
    fn next(&mut self) -> Result<(u8, &'a [u8]), CodecError> {
        loop {
            let rest = self.bytes.get(self.at..).ok_or(CodecError::Ended)?;
            let skipped = rest
                .windows(2)
                .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))
                .ok_or(CodecError::Ended)?;
            let marker = rest[skipped + 1];
            self.at += skipped + 2;
            // Markers without a length: restarts, start of image, TEM.
            if matches!(marker, 0xd0..=0xd8 | 0x01) {
                continue;
            }
            if marker == 0xd9 {
                return Ok((marker, &[]));
            }
            let rest = &self.bytes[self.at..];
            let length = usize::from(SegmentReader(rest).u16()?);
            let segment = rest.get(2..length).ok_or(CodecError::Ended)?;
            self.at += length;
            return Ok((marker, segment));
        }
    }
}
