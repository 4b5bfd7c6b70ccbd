//! JPEG with one component: sequential and progressive cosine transform with 8 or 12 bits, and lossless with 2 to 16,
//! all Huffman coded.
//!
//! **Source**: ITU-T T.81; names of tables and parameters are those of its annexes B, F, G and H.

mod cosine;
mod lossless;

use crate::dicom::codec::bits::{Bits, Huffman, Stuffing};
use crate::dicom::codec::{CodecError, Shape};

/// Places of a block's coefficients in the order in which they are coded.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// How samples are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    Sequential,
    Progressive,
    Lossless,
}

/// What the frame header states.
#[derive(Debug, Clone, Copy)]
struct Frame {
    process: Process,
    precision: u32,
    component: u8,
    quantization: u8,
    shape: Shape,
}

/// What a scan header states.
#[derive(Debug, Clone, Copy)]
struct Scan {
    dc_table: usize,
    ac_table: usize,
    /// Ss: first coefficient, or the predictor.
    start: u8,
    /// Se: last coefficient.
    end: u8,
    /// Ah: bit that is refined, plus one; 0 in the first scan of a coefficient.
    high: u8,
    /// Al: lowest bit, or the point transform.
    low: u8,
}

/// Tables that are in force.
#[derive(Default)]
struct Tables {
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    quantization: [Option<[u16; 64]>; 4],
    /// Units between restart markers; 0 for none.
    restart: usize,
}

impl Tables {
    fn huffman(tables: &[Option<Huffman>; 4], index: usize) -> Result<&Huffman, CodecError> {
        tables[index & 3]
            .as_ref()
            .ok_or(CodecError::Damaged("a Huffman table of theirs is absent"))
    }
}

/// Decodes a frame: its samples and their bits.
pub(super) fn decode(bytes: &[u8], shape: Shape) -> Result<(Vec<u16>, u32), CodecError> {
    let mut segments = Segments::new(bytes)?;
    let mut tables = Tables::default();
    let mut frame: Option<Frame> = None;
    let mut coefficients: Vec<i32> = Vec::new();
    let mut scans = 0;
    loop {
        let (marker, segment) = segments.next()?;
        match marker {
            0xd9 => break,
            0xc4 => huffman_tables(segment, &mut tables)?,
            0xdb => quantization_tables(segment, &mut tables)?,
            0xdd => tables.restart = usize::from(Fields(segment).u16()?),
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
                // Refinements are bounded by the bits of a coefficient; what goes on longer is made to cost time.
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

/// Numbers of a segment.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u8(&mut self) -> Result<u8, CodecError> {
        let (first, rest) = self.0.split_first().ok_or(CodecError::Ended)?;
        self.0 = rest;
        Ok(*first)
    }

    fn u16(&mut self) -> Result<u16, CodecError> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }
}

/// Goes from marker to marker.
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

    /// The next marker and what belongs to it.
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
            let length = usize::from(Fields(rest).u16()?);
            let segment = rest.get(2..length).ok_or(CodecError::Ended)?;
            self.at += length;
            return Ok((marker, segment));
        }
    }
}

fn frame_header(marker: u8, segment: &[u8], shape: Shape) -> Result<Frame, CodecError> {
    let mut fields = Fields(segment);
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
    Ok(Frame {
        process,
        precision,
        component,
        quantization: fields.u8()?,
        shape,
    })
}

fn scan_header(segment: &[u8], frame: &Frame) -> Result<Scan, CodecError> {
    let mut fields = Fields(segment);
    if fields.u8()? != 1 || fields.u8()? != frame.component {
        return Err(CodecError::Damaged("a scan of theirs has other components"));
    }
    let tables = fields.u8()?;
    let (start, end) = (fields.u8()?, fields.u8()?);
    let approximation = fields.u8()?;
    let scan = Scan {
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
        Err(CodecError::Damaged(
            "a scan of theirs has impossible parameters",
        ))
    }
}

fn huffman_tables(segment: &[u8], tables: &mut Tables) -> Result<(), CodecError> {
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

fn quantization_tables(segment: &[u8], tables: &mut Tables) -> Result<(), CodecError> {
    let mut fields = Fields(segment);
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

/// Counts units between restart markers and passes over these.
struct Restarts {
    interval: usize,
    left: usize,
}

impl Restarts {
    fn new(interval: usize) -> Self {
        Self {
            interval,
            left: interval,
        }
    }

    /// To be asked before each unit: whether prediction starts anew, the marker being passed.
    fn due(&mut self, bits: &mut Bits) -> Result<bool, CodecError> {
        if self.interval == 0 {
            return Ok(false);
        }
        if self.left > 0 {
            self.left -= 1;
            return Ok(false);
        }
        self.left = self.interval - 1;
        if bits.pass_restart() {
            Ok(true)
        } else {
            Err(CodecError::Damaged("a restart marker of theirs is absent"))
        }
    }
}
