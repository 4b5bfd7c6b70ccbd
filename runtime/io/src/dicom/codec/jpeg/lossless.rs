//! Lossless JPEG: each sample predicted from its neighbors (ITU-T T.81 annex H).

use super::headers::{JpegFrame, JpegScan, Tables};
use super::restarts::Restarts;
use crate::dicom::codec::bits::{Bits, extend};
use crate::dicom::codec::error::CodecError;

pub(super) fn decode(
    mut bits: Bits,
    frame: &JpegFrame,
    scan: &JpegScan,
    tables: &Tables,
) -> Result<Vec<u16>, CodecError> {
    let columns = frame.shape.columns;
    if !tables.restart.is_multiple_of(columns) {
        return Err(CodecError::Damaged(
            "the restart interval is not a number of lines",
        ));
    }
    let table = Tables::huffman(&tables.dc, scan.dc_table)?;
    let mut restarts = Restarts::new(tables.restart / columns);
    let first = 1_i32 << (frame.precision - 1 - u32::from(scan.low).min(frame.precision - 1));
    let mut samples = vec![0_u16; frame.shape.pixels()];
    let mut above: &mut [u16] = &mut [];
    let mut fresh = true;
    for line in samples.chunks_exact_mut(columns) {
        fresh |= restarts.due(&mut bits)?;
        for x in 0..columns {
            let prediction = if x == 0 {
                if fresh { first } else { i32::from(above[0]) }
            } else {
                let left = i32::from(line[x - 1]);
                if fresh {
                    left
                } else {
                    let (up, corner) = (i32::from(above[x]), i32::from(above[x - 1]));
                    match scan.start {
                        1 => left,
                        2 => up,
                        3 => corner,
                        4 => left + up - corner,
                        5 => left + ((up - corner) >> 1),
                        6 => up + ((left - corner) >> 1),
                        _ => (left + up) >> 1,
                    }
                }
            };
            let difference = match table.read(&mut bits)? {
                size @ 0..=15 => extend(&mut bits, u32::from(size))?,
                16 => 1 << 15,
                _ => return Err(CodecError::Damaged("a difference of theirs is too large")),
            };
            // Modulo 65536, as the format prescribes.
            line[x] = (prediction + difference) as u16;
        }
        fresh = false;
        above = line;
    }
    if scan.low > 0 {
        samples.iter_mut().for_each(|sample| *sample <<= scan.low);
    }
    Ok(samples)
}
