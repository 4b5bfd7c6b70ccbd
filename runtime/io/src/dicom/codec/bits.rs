//! Bits of the entropy-coded parts of JPEG and JPEG-LS.

use crate::dicom::codec::error::CodecError;

/// How 0xFF is escaped within entropy-coded data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stuffing {
    /// A zero byte follows (ITU-T T.81 B.1.1.5).
    Byte,
    /// A zero bit follows (ITU-T T.87 A.1).
    Bit,
}

/// Reads bits, the most significant first, up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    stuffing: Stuffing,
    /// Bits that are buffered, the next one highest.
    window: u64,
    count: u32,
    after_ff: bool,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8], at: usize, stuffing: Stuffing) -> Self {
        Self {
            bytes,
            at,
            stuffing,
            window: 0,
            count: 0,
            after_ff: false,
        }
    }

    fn refill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else {
                return;
            };
            let width = match (self.after_ff, self.stuffing) {
                (true, Stuffing::Byte) => {
                    if byte != 0 {
                        // A marker, whose first byte was read as data.
                        return;
                    }
                    self.at += 1;
                    self.after_ff = false;
                    continue;
                }
                (true, Stuffing::Bit) => 7,
                (false, _) => 8,
            };
            if byte == 0xff && self.stuffing == Stuffing::Byte {
                // 0xFF is data only if a zero follows.
                if self.bytes.get(self.at + 1) != Some(&0) {
                    return;
                }
            }
            if byte == 0xff
                && self.stuffing == Stuffing::Bit
                && self.bytes.get(self.at + 1).is_none_or(|next| *next >= 0x80)
            {
                return;
            }
            self.at += 1;
            self.after_ff = byte == 0xff;
            self.window |= u64::from(byte) << (64 - width - self.count);
            self.count += width;
        }
    }

    /// The next 16 bits without consuming them, zeros after the last.
    pub fn peek(&mut self) -> u32 {
        if self.count < 16 {
            self.refill();
        }
        (self.window >> 48) as u32
    }

    pub fn pass(&mut self, count: u32) -> Result<(), CodecError> {
        if count > self.count {
            return Err(CodecError::Ended);
        }
        self.window <<= count;
        self.count -= count;
        Ok(())
    }

    /// Reads up to 32 bits.
    pub fn take(&mut self, count: u32) -> Result<u32, CodecError> {
        if count == 0 {
            return Ok(0);
        }
        if self.count < count {
            self.refill();
        }
        let value = (self.window >> (64 - count)) as u32;
        self.pass(count)?;
        Ok(value)
    }

    pub fn bit(&mut self) -> Result<bool, CodecError> {
        Ok(self.take(1)? == 1)
    }

    /// Counts zeros up to a one, and skips the one; fails beyond `limit` zeros.
    pub fn zeros(&mut self, limit: u32) -> Result<u32, CodecError> {
        let mut zeros = 0;
        loop {
            if self.count == 0 {
                self.refill();
                if self.count == 0 {
                    return Err(CodecError::Ended);
                }
            }
            let run = self.window.leading_zeros().min(self.count);
            zeros += run;
            if zeros > limit {
                return Err(CodecError::Damaged("a code of theirs is too long"));
            }
            if run < self.count {
                self.pass(run)?;
                self.pass(1)?;
                return Ok(zeros);
            }
            self.pass(run)?;
        }
    }

    /// Skips a restart marker, if one follows the data; the rest of the last byte is discarded.
    pub fn pass_restart(&mut self) -> bool {
        let at = self.marker_at();
        let found = matches!(self.bytes.get(at..at + 2), Some([0xff, 0xd0..=0xd7]));
        if found {
            *self = Self::new(self.bytes, at + 2, self.stuffing);
        }
        found
    }

    /// Position of the next marker, once all data before it are read; the rest of the last byte is discarded.
    pub fn marker_at(&self) -> usize {
        let mut at = self.at + usize::from(self.after_ff && self.stuffing == Stuffing::Byte);
        // Any number of 0xFF may precede a marker.
        while self.bytes.get(at..at + 2) == Some(&[0xff, 0xff]) {
            at += 1;
        }
        at
    }
}

/// A Huffman code (ITU-T T.81 annex C).
pub(super) struct Huffman {
    /// Length and symbol by the next 9 bits; length 0 where the code is longer.
    short: Box<[(u8, u8); 512]>,
    /// For each length: the first code after those of that length, aligned to 16 bits.
    limits: [u32; 17],
    /// For each length: the offset from a code to its index among the symbols.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// The code with these numbers of codes of each length from 1 to 16.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, CodecError> {
        let damaged = CodecError::Damaged("a Huffman table of theirs is impossible");
        let mut short = Box::new([(0, 0); 512]);
        let (mut limits, mut offsets) = ([0; 17], [0; 17]);
        let (mut code, mut index) = (0_u32, 0_usize);
        for length in 1..=16_u32 {
            let count = usize::from(counts[length as usize - 1]);
            offsets[length as usize] = index as i32 - code as i32;
            for _ in 0..count {
                let symbol = *symbols.get(index).ok_or(damaged.clone())?;
                if code >= 1 << length {
                    return Err(damaged);
                }
                if length <= 9 {
                    let first = (code << (9 - length)) as usize;
                    short[first..first + (1 << (9 - length))].fill((length as u8, symbol));
                }
                code += 1;
                index += 1;
            }
            limits[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(Self {
            short,
            limits,
            offsets,
            symbols: symbols[..index].to_vec(),
        })
    }

    pub fn read(&self, bits: &mut Bits) -> Result<u8, CodecError> {
        let next = bits.peek();
        let (length, symbol) = self.short[(next >> 7) as usize];
        if length > 0 {
            bits.pass(u32::from(length))?;
            return Ok(symbol);
        }
        for length in 10..=16_u32 {
            if next < self.limits[length as usize] {
                bits.pass(length)?;
                let place = (next >> (16 - length)) as i32 + self.offsets[length as usize];
                return usize::try_from(place)
                    .ok()
                    .and_then(|place| self.symbols.get(place))
                    .copied()
                    .ok_or(CodecError::Damaged("a Huffman code is not in its table"));
            }
        }
        Err(CodecError::Damaged("a Huffman code is not in its table"))
    }
}

/// Reads a number of `size` bits, whose first bit is its sign (ITU-T T.81 F.2.2.1).
pub(super) fn extend(bits: &mut Bits, size: u32) -> Result<i32, CodecError> {
    if size == 0 {
        return Ok(0);
    }
    let value = bits.take(size)? as i32;
    Ok(if value < 1 << (size - 1) {
        value - (1 << size) + 1
    } else {
        value
    })
}
