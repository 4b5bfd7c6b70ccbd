//! JPEG with cosine transform: coefficients of blocks of 8×8 samples (ITU-T T.81 annexes A, F and G).

use std::f32::consts::{FRAC_1_SQRT_2, PI};

use super::headers::{JpegFrame, JpegScan, Process, Tables, ZIGZAG};
use super::restarts::Restarts;
use crate::dicom::codec::bits::{Bits, Huffman, extend};
use crate::dicom::codec::error::CodecError;
use crate::dicom::codec::shape::FrameShape;

/// Coefficients of all blocks that cover the frame.
pub(super) fn coefficients(shape: FrameShape) -> usize {
    shape.columns.div_ceil(8) * shape.rows.div_ceil(8) * 64
}

/// Reads one scan into the coefficients; returns the position of its end.
pub(super) fn scan(
    mut bits: Bits,
    frame: &JpegFrame,
    scan: &JpegScan,
    tables: &Tables,
    coefficients: &mut [i32],
) -> Result<usize, CodecError> {
    let mut restarts = Restarts::new(tables.restart);
    let mut state = EntropyState::default();
    let progressive = frame.process == Process::Progressive;
    let dc = || Tables::huffman(&tables.dc, scan.dc_table);
    let ac = || Tables::huffman(&tables.ac, scan.ac_table);
    for block in coefficients.as_chunks_mut::<64>().0 {
        if restarts.due(&mut bits)? {
            state = EntropyState::default();
        }
        match (progressive, scan.start, scan.high) {
            (false, _, _) => {
                block[0] = state.next_dc(&mut bits, dc()?)?;
                sequential_ac(&mut bits, ac()?, block)?;
            }
            (true, 0, 0) => {
                block[0] = state
                    .next_dc(&mut bits, dc()?)?
                    .wrapping_shl(scan.low.into());
            }
            (true, 0, _) => block[0] |= i32::from(bits.bit()?) << scan.low,
            (true, _, 0) => state.first_ac(&mut bits, ac()?, scan, block)?,
            (true, _, _) => state.refined_ac(&mut bits, ac()?, scan, block)?,
        }
    }
    Ok(bits.marker_at())
}

/// State between blocks.
#[derive(Default)]
struct EntropyState {
    /// DC coefficient of the last block.
    dc: i32,
    /// End-of-band run: following blocks without further coefficients in the band.
    ended: u32,
}

impl EntropyState {
    fn next_dc(&mut self, bits: &mut Bits, table: &Huffman) -> Result<i32, CodecError> {
        let size = table.read(bits)?;
        if size > 16 {
            return Err(CodecError::Damaged("a difference of theirs is too large"));
        }
        self.dc = self.dc.wrapping_add(extend(bits, size.into())?);
        Ok(self.dc)
    }

    fn first_ac(
        &mut self,
        bits: &mut Bits,
        table: &Huffman,
        scan: &JpegScan,
        block: &mut [i32; 64],
    ) -> Result<(), CodecError> {
        if self.ended > 0 {
            self.ended -= 1;
            return Ok(());
        }
        let mut k = usize::from(scan.start);
        while k <= usize::from(scan.end) {
            let symbol = table.read(bits)?;
            let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 {
                if run < 15 {
                    self.ended = (1 << run) - 1 + bits.take(run as u32)?;
                    return Ok(());
                }
                k += 16;
                continue;
            }
            k += run;
            *place(block, k, scan.end)? = extend(bits, size)?.wrapping_shl(scan.low.into());
            k += 1;
        }
        Ok(())
    }

    fn refined_ac(
        &mut self,
        bits: &mut Bits,
        table: &Huffman,
        scan: &JpegScan,
        block: &mut [i32; 64],
    ) -> Result<(), CodecError> {
        let bit = 1_i32 << scan.low;
        let end = usize::from(scan.end);
        let mut k = usize::from(scan.start);
        if self.ended == 0 {
            while k <= end {
                let symbol = table.read(bits)?;
                let (mut zeros, size) = (usize::from(symbol >> 4), symbol & 15);
                let new = match size {
                    0 if zeros < 15 => {
                        self.ended = (1 << zeros) + bits.take(zeros as u32)?;
                        break;
                    }
                    0 => None,
                    1 => Some(if bits.bit()? { bit } else { -bit }),
                    _ => return Err(CodecError::Damaged("a refinement of theirs is too large")),
                };
                loop {
                    if k > end {
                        if new.is_some() {
                            return Err(CodecError::Damaged("a block of theirs is too long"));
                        }
                        break;
                    }
                    let coefficient = &mut block[usize::from(ZIGZAG[k])];
                    k += 1;
                    if *coefficient != 0 {
                        refine(bits, coefficient, bit)?;
                    } else if zeros > 0 {
                        zeros -= 1;
                    } else {
                        *coefficient = new.unwrap_or(0);
                        break;
                    }
                }
            }
        }
        if self.ended > 0 {
            for place in &ZIGZAG[k..=end] {
                let coefficient = &mut block[usize::from(*place)];
                if *coefficient != 0 {
                    refine(bits, coefficient, bit)?;
                }
            }
            self.ended -= 1;
        }
        Ok(())
    }
}

/// Takes the next bit of a coefficient that is not zero.
fn refine(bits: &mut Bits, coefficient: &mut i32, bit: i32) -> Result<(), CodecError> {
    if bits.bit()? && coefficient.unsigned_abs() & bit.unsigned_abs() == 0 {
        *coefficient += bit * coefficient.signum();
    }
    Ok(())
}

fn sequential_ac(
    bits: &mut Bits,
    table: &Huffman,
    block: &mut [i32; 64],
) -> Result<(), CodecError> {
    let mut k = 1;
    while k < 64 {
        let symbol = table.read(bits)?;
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if run < 15 {
                break;
            }
            k += 16;
            continue;
        }
        k += run;
        *place(block, k, 63)? = extend(bits, size)?;
        k += 1;
    }
    Ok(())
}

/// The `k`-th coefficient of a block in coding order.
fn place(block: &mut [i32; 64], k: usize, end: u8) -> Result<&mut i32, CodecError> {
    if k > usize::from(end) {
        return Err(CodecError::Damaged("a block of theirs is too long"));
    }
    Ok(&mut block[usize::from(ZIGZAG[k])])
}

/// The samples of all blocks.
pub(super) fn samples(
    coefficients: &[i32],
    quantization: &[u16; 64],
    frame: &JpegFrame,
) -> Vec<u16> {
    let FrameShape { columns, rows } = frame.shape;
    let basis = basis();
    let (middle, most) = (
        (1 << (frame.precision - 1)) as f32,
        ((1 << frame.precision) - 1) as f32,
    );
    let mut samples = vec![0; frame.shape.pixels()];
    let across = columns.div_ceil(8);
    for (index, block) in coefficients.as_chunks::<64>().0.iter().enumerate() {
        let (left, top) = (index % across * 8, index / across * 8);
        let frequencies: [f32; 64] =
            std::array::from_fn(|k| block[k] as f32 * f32::from(quantization[k]));
        let values = inverse(&frequencies, &basis);
        for y in 0..8.min(rows - top) {
            for x in 0..8.min(columns - left) {
                let value = (values[8 * y + x] + middle).round_ties_even();
                samples[(top + y) * columns + left + x] = value.clamp(0.0, most) as u16;
            }
        }
    }
    samples
}

/// `basis[u][x]`: the cosine of frequency `u` at sample `x`, scaled so that the transform is orthogonal.
fn basis() -> [[f32; 8]; 8] {
    std::array::from_fn(|u| {
        let scale = if u == 0 { FRAC_1_SQRT_2 } else { 1.0 } / 2.0;
        std::array::from_fn(|x| scale * ((2 * x + 1) as f32 * u as f32 * PI / 16.0).cos())
    })
}

/// The inverse cosine transform of a block, rows of 8.
fn inverse(frequencies: &[f32; 64], basis: &[[f32; 8]; 8]) -> [f32; 64] {
    let mut half = [0.0; 64];
    for v in 0..8 {
        for u in 0..8 {
            let frequency = frequencies[8 * v + u];
            if frequency != 0.0 {
                for x in 0..8 {
                    half[8 * v + x] += frequency * basis[u][x];
                }
            }
        }
    }
    let mut values = [0.0; 64];
    for y in 0..8 {
        for v in 0..8 {
            for x in 0..8 {
                values[8 * y + x] += half[8 * v + x] * basis[v][y];
            }
        }
    }
    values
}
