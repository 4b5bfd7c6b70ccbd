//! Marker segments of a codestream (ITU-T T.800 annex A).

use std::rc::Rc;

use crate::dicom::codec::error::CodecError;

/// Most decomposition levels of the format.
const LEVELS_MAX: u8 = 32;

/// How the coefficients of a tile are coded.
#[derive(Debug, Clone)]
pub(super) struct Coding {
    pub progression: u8,
    pub layers: u32,
    pub levels: u8,
    /// Exponents of a code-block's width and height.
    pub block: [u32; 2],
    /// Whether each coding pass is a segment of its own.
    pub terminates: bool,
    /// Whether some passes bypass the arithmetic coder.
    pub bypasses: bool,
    /// The byte that these two are bits of (table A.19).
    pub block_style: u8,
    /// The wavelet: 0 for 9-7, 1 for 5-3.
    pub wavelet: u8,
    /// Exponents of the precincts' widths and heights, by resolution.
    pub precincts: Vec<[u32; 2]>,
    /// Whether markers may precede packets, and must follow their headers.
    pub markers: [bool; 2],
}

/// The coding of tiles that a header states.
#[derive(Default)]
pub(super) struct Styles {
    pub coding: Option<Coding>,
    /// Contents of a quantization segment.
    pub quantization: Option<Rc<[u8]>>,
    /// Shift of the coefficients of a region of interest.
    pub shift: Option<u8>,
}

/// Reads the numbers of a marker segment.
pub(super) struct MarkerFields<'a>(pub &'a [u8]);

impl<'a> MarkerFields<'a> {
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CodecError::Ended)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn number(&mut self, bytes: usize) -> Result<u32, CodecError> {
        let bytes = self.take(bytes)?.iter();
        Ok(bytes.fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    pub fn marker(&mut self) -> Result<u8, CodecError> {
        match self.take(2)? {
            [0xff, marker] => Ok(*marker),
            _ => Err(CodecError::Damaged("a marker of theirs is absent")),
        }
    }

    pub fn segment(&mut self) -> Result<MarkerFields<'a>, CodecError> {
        let length = self.number(2)?.checked_sub(2).ok_or(CodecError::Ended)?;
        Ok(MarkerFields(self.take(length as usize)?))
    }

    /// Checks that no bytes are left, which another reader might read as a marker.
    pub fn end(&self) -> Result<(), CodecError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(CodecError::Damaged(
                "a marker segment is longer than its content",
            ))
        }
    }
}

impl Styles {
    /// Reads marker segments up to a start of a tile-part or its data; returns that marker as well.
    ///
    /// **Errors**: a segment is damaged, occurs twice, or is not needed for frames of one component.
    pub fn read(fields: &mut MarkerFields) -> Result<(u8, Self), CodecError> {
        let mut styles = Self::default();
        loop {
            match fields.marker()? {
                marker @ (0x90 | 0x93) => return Ok((marker, styles)),
                0x52 => {
                    let coding = Coding::read(fields.segment()?)?;
                    once(&mut styles.coding, coding)?;
                }
                0x5c => {
                    let quantization = quantization(fields.segment()?)?;
                    once(&mut styles.quantization, quantization)?;
                }
                0x5e => {
                    let mut segment = fields.segment()?;
                    let [component, style, shift] = [0; 3].map(|_: u8| segment.number(1));
                    if [component?, style?] != [0, 0] {
                        return Err(CodecError::Damaged("their region is none of JPEG 2000"));
                    }
                    once(&mut styles.shift, shift? as u8)?;
                    segment.end()?;
                }
                0x53 | 0x5d => return Err(CodecError::Unsupported("a style of one component")),
                0x5f => return Err(CodecError::Unsupported("a change of progression")),
                0x60 | 0x61 => return Err(CodecError::Unsupported("packed packet headers")),
                0x30..=0x3f => {}
                0xd9 | 0x4f => return Err(CodecError::Ended),
                // Lengths of what follows, registration, comments.
                0x55 | 0x57 | 0x58 | 0x63 | 0x64 => {
                    fields.segment()?;
                }
                _ => return Err(CodecError::Unsupported("an extension of JPEG 2000")),
            }
        }
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), CodecError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(CodecError::Damaged("a marker segment occurs twice")),
    }
}

/// Contents of a quantization segment (A.6.4).
fn quantization(segment: MarkerFields) -> Result<Rc<[u8]>, CodecError> {
    let bytes = segment.0;
    let (style, steps) = bytes.split_first().ok_or(CodecError::Ended)?;
    let bands = 1 + 3 * usize::from(LEVELS_MAX);
    let fits = match style & 0x1f {
        0 => (1..=bands).contains(&steps.len()),
        1 => steps.len() == 2,
        2 => steps.len() % 2 == 0 && (1..=bands).contains(&(steps.len() / 2)),
        _ => false,
    };
    if fits {
        Ok(bytes.into())
    } else {
        Err(CodecError::Damaged("the quantization style is unknown"))
    }
}

impl Coding {
    /// A.6.1, tables A.13 and A.15.
    fn read(mut segment: MarkerFields) -> Result<Self, CodecError> {
        let damaged = CodecError::Damaged("their coding style is none of JPEG 2000");
        let style = segment.number(1)?;
        let progression = segment.number(1)? as u8;
        let layers = segment.number(2)?;
        // Whether a component transform is used; there is only one component.
        segment.take(1)?;
        let levels = segment.number(1)? as u8;
        let block @ [width, height] = [segment.number(1)? + 2, segment.number(1)? + 2];
        let block_style = segment.number(1)? as u8;
        let wavelet = segment.number(1)? as u8;
        if style > 7
            || progression > 4
            || layers == 0
            || levels > LEVELS_MAX
            || width > 10
            || height > 10
            || width + height > 12
            || block_style > 0x3f
            || wavelet > 1
        {
            return Err(damaged);
        }
        let mut precincts = Vec::with_capacity(usize::from(levels) + 1);
        for resolution in 0..=levels {
            let exponents = if style & 1 != 0 {
                segment.number(1)?
            } else {
                0xff
            };
            let exponents = [exponents & 15, exponents >> 4];
            // Half of a precinct must not be empty, except at the lowest resolution.
            if resolution > 0 && exponents.contains(&0) {
                return Err(damaged);
            }
            precincts.push(exponents);
        }
        segment.end()?;
        Ok(Self {
            progression,
            layers,
            levels,
            block,
            terminates: block_style & 4 != 0,
            bypasses: block_style & 1 != 0,
            block_style,
            wavelet,
            precincts,
            markers: [style & 2 != 0, style & 4 != 0],
        })
    }
}
