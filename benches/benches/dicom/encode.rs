//! Simple compression of frames, for measuring decompression.

/// Run lengths of bytes (PS3.5 annex G): all runs, and literals between them.
pub fn rle(pixels: &[u16]) -> Vec<u8> {
    let mut frame = vec![0; 64];
    frame[0] = 2;
    for (segment, shift) in [8, 0].into_iter().enumerate() {
        let start = frame.len() as u32;
        frame[4 + 4 * segment..][..4].copy_from_slice(&start.to_le_bytes());
        let bytes: Vec<u8> = pixels.iter().map(|pixel| (pixel >> shift) as u8).collect();
        let mut literals: Vec<u8> = Vec::new();
        let flush = |literals: &mut Vec<u8>, frame: &mut Vec<u8>| {
            for part in literals.chunks(128) {
                frame.push(part.len() as u8 - 1);
                frame.extend(part);
            }
            literals.clear();
        };
        for run in bytes.chunk_by(|a, b| a == b) {
            if run.len() < 3 {
                literals.extend(run);
                continue;
            }
            flush(&mut literals, &mut frame);
            for part in run.chunks(128) {
                if part.len() == 1 {
                    frame.extend([0, part[0]]);
                } else {
                    frame.extend([(257 - part.len()) as u8, part[0]]);
                }
            }
        }
        flush(&mut literals, &mut frame);
        if frame.len() % 2 == 1 {
            frame.push(0);
        }
    }
    frame
}

/// Lossless JPEG of 12 bits (ITU-T T.81 annex H): differences to the left, with codes of 3 and 6 bits.
pub fn jpeg_lossless(pixels: &[u16], columns: usize) -> Vec<u8> {
    let rows = pixels.len() / columns;
    let [r, c] = [rows as u16, columns as u16].map(u16::to_be_bytes);
    // Seven codes of 3 bits and, below the eighth, seven of 6: differences of up to 13 bits.
    let codes: Vec<(u32, u32)> = (0..7)
        .map(|code| (code, 3))
        .chain((0..7).map(|code| (0b11_1000 + code, 6)))
        .collect();
    let order: [u8; 14] = [8, 7, 6, 5, 0, 4, 3, 9, 2, 1, 10, 11, 12, 13];
    let mut out = vec![0xff, 0xd8, 0xff, 0xc3, 0, 11, 12];
    out.extend([r, c].as_flattened());
    out.extend([1, 1, 0x11, 0]);
    out.extend([0xff, 0xc4, 0, 19 + 14, 0, 0, 0, 7, 0, 0, 7]);
    out.extend([0; 10]);
    out.extend(order);
    out.extend([0xff, 0xda, 0, 8, 1, 1, 0, 1, 0, 0]);
    let (mut bits, mut count) = (0_u64, 0);
    let mut put = |value: u32, length: u32, out: &mut Vec<u8>| {
        bits = bits << length | u64::from(value);
        count += length;
        while count >= 8 {
            count -= 8;
            let byte = (bits >> count) as u8;
            out.push(byte);
            if byte == 0xff {
                out.push(0);
            }
        }
    };
    for (index, &pixel) in pixels.iter().enumerate() {
        let before = match (index % columns, index / columns) {
            (0, 0) => 1 << 11,
            (0, _) => pixels[index - columns],
            _ => pixels[index - 1],
        };
        let difference = i32::from(pixel.wrapping_sub(before) as i16);
        let size = 32 - difference.unsigned_abs().leading_zeros();
        let place = order.iter().position(|known| u32::from(*known) == size);
        let (code, length) = codes[place.expect("a difference of up to 13 bits")];
        put(code, length, &mut out);
        let low = if difference < 0 {
            difference - 1
        } else {
            difference
        };
        put(low as u32 & ((1 << size) - 1), size, &mut out);
    }
    put(0x7f, 7, &mut out);
    out.extend([0xff, 0xd9]);
    if out.len() % 2 == 1 {
        out.push(0);
    }
    out
}
