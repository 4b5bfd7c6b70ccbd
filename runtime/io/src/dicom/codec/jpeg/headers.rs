//! Segments before entropy-coded data: frame, scan and tables (ITU-T T.81 annex B).

use crate::dicom::codec::bits::Huffman;
use crate::dicom::codec::error::CodecError;
use crate::dicom::codec::shape::FrameShape;

/// Indexes of a block's coefficients in coding order.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    Sequential,
    Progressive,
    Lossless,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct JpegFrame {
    pub process: Process,
    pub precision: u32,
    pub component: u8,
    pub quantization: u8,
    pub shape: FrameShape,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct JpegScan {
    pub dc_table: usize,
    pub ac_table: usize,
    /// Ss: first coefficient, or the predictor.
    pub start: u8,
    /// Se: last coefficient.
    pub end: u8,
    /// Ah: bit that is refined, plus one; 0 in the first scan of a coefficient.
    pub high: u8,
    /// Al: lowest bit, or the point transform.
    pub low: u8,
}

#[derive(Default)]
pub(super) struct Tables {
    pub dc: [Option<Huffman>; 4],
    pub ac: [Option<Huffman>; 4],
    pub quantization: [Option<[u16; 64]>; 4],
    /// Units between restart markers; 0 for none.
    pub restart: usize,
}

impl Tables {
    pub fn huffman(tables: &[Option<Huffman>; 4], index: usize) -> Result<&Huffman, CodecError> {
        tables[index & 3]
            .as_ref()
            .ok_or(CodecError::Damaged("a Huffman table of theirs is absent"))
    }
}

/// Reads the big-endian numbers of a segment.
pub(super) struct SegmentReader<'a>(pub &'a [u8]);

impl SegmentReader<'_> {
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        let (first, rest) = self.0.split_first().ok_or(CodecError::Ended)?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn u16(&mut self) -> Result<u16, CodecError> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }
}

/// Reads a frame header (SOF) and checks its shape against the header of the image.
pub(super) fn frame_header(
    marker: u8,
    segment: &[u8],
    shape: FrameShape,
) -> Result<JpegFrame, CodecError> {
    let mut fields = SegmentReader(segment);
    let precision = u32::from(fields.u8()?);
    let rows = usize::from(fields.u16()?);
    let columns = usize::from(fields.u16()?);
    if fields.u8()? != 1 {
        return Err(CodecError::Unsupported("more than one component"));
    }
    shape.check(columns, rows)?;
    let component = fields.u8()?;
    fields.u8()?;
    let process = match marker {
        0xc3 => Process::Lossless,
        0xc2 => Process::Progressive,
        _ => Process::Sequential,
    };
    let allowed = match process {
        Process::Lossless => (2..=16).contains(&precision),
        _ => precision == 8 || precision == 12,
    };
    if !allowed {
        return Err(CodecError::Damaged("their precision is not one of JPEG's"));
    }
    Ok(JpegFrame {
        process,
        precision,
        component,
        quantization: fields.u8()?,
        shape,
    })
}

pub(super) fn scan_header(segment: &[u8], frame: &JpegFrame) -> Result<JpegScan, CodecError> {
    let mut fields = SegmentReader(segment);
    if fields.u8()? != 1 || fields.u8()? != frame.component {
        return Err(CodecError::Damaged("a scan of theirs has other components"));
    }
    let tables = fields.u8()?;
    let (start, end) = (fields.u8()?, fields.u8()?);
    let approximation = fields.u8()?;
    let scan = JpegScan {
        dc_table: usize::from(tables >> 4),
        ac_table: usize::from(tables & 15),
        start,
        end,
        high: approximation >> 4,
        low: approximation & 15,
    };
    let allowed = match frame.process {
        Process::Sequential => (start, end) == (0, 63) && approximation == 0,
        Process::Progressive => {
            let band = if start == 0 {
                end == 0
            } else {
                start <= end && end < 64
            };
            band && scan.low <= 13 && (scan.high == 0 || scan.high == scan.low + 1)
        }
        Process::Lossless => (1..=7).contains(&start) && u32::from(scan.low) < frame.precision,
    };
    if allowed && scan.dc_table < 4 && scan.ac_table < 4 {
        Ok(scan)
    } else {
        Err(CodecError::Damaged("a scan has invalid parameters"))
    }
}

pub(super) fn huffman_tables(segment: &[u8], tables: &mut Tables) -> Result<(), CodecError> {
    let mut rest = segment;
    while let Some((&head, after)) = rest.split_first() {
        let counts: &[u8; 16] = after.first_chunk().ok_or(CodecError::Ended)?;
        let total = counts
            .iter()
            .map(|count| usize::from(*count))
            .sum::<usize>();
        let symbols = after.get(16..16 + total).ok_or(CodecError::Ended)?;
        let table = Huffman::new(counts, symbols)?;
        let of_kind = if head >> 4 == 0 {
            &mut tables.dc
        } else {
            &mut tables.ac
        };
        of_kind[usize::from(head & 3)] = Some(table);
        rest = &after[16 + total..];
    }
    Ok(())
}

pub(super) fn quantization_tables(segment: &[u8], tables: &mut Tables) -> Result<(), CodecError> {
    let mut fields = SegmentReader(segment);
    while !fields.0.is_empty() {
        let head = fields.u8()?;
        let mut table = [0; 64];
        for place in ZIGZAG {
            table[usize::from(place)] = if head >> 4 == 0 {
                u16::from(fields.u8()?)
            } else {
                fields.u16()?
            };
        }
        tables.quantization[usize::from(head & 3)] = Some(table);
    }
    Ok(())
}
