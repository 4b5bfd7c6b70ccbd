//! Run-length encoding of label maps.

/// Encodes a frame: a header and one segment for each byte of a pixel, the most significant first.
///
/// **Shapes**: rows of `columns` pixels, which are encoded one by one.
///
/// **Source**: PS3.5 annex G.
pub(super) fn encode(pixels: &[u16], columns: usize, bytes: usize) -> Vec<u8> {
    let mut frame = vec![0; 64];
    frame[0] = bytes as u8;
    let mut line = Vec::with_capacity(columns);
    for byte in 0..bytes {
        let offset = frame.len() as u32;
        frame[4 + 4 * byte..][..4].copy_from_slice(&offset.to_le_bytes());
        let shift = 8 * (bytes - 1 - byte);
        for row in pixels.chunks(columns) {
            line.clear();
            line.extend(row.iter().map(|value| (value >> shift) as u8));
            pack(&line, &mut frame);
        }
        if frame.len() % 2 == 1 {
            frame.push(0);
        }
    }
    frame
}

/// A run is encoded as 257 less its length, other bytes as their number less 1.
fn pack(line: &[u8], into: &mut Vec<u8>) {
    let mut rest = line;
    let run = |bytes: &[u8]| {
        let first = bytes.first();
        let same = bytes
            .iter()
            .take(128)
            .take_while(|byte| Some(*byte) == first);
        same.count()
    };
    while !rest.is_empty() {
        let same = run(rest);
        if same > 1 {
            into.extend([(257 - same) as u8, rest[0]]);
            rest = &rest[same..];
            continue;
        }
        // A run of two between literals saves nothing.
        let mut other = 1;
        while other < rest.len().min(128) && run(&rest[other..]) < 3 {
            other += 1;
        }
        into.push((other - 1) as u8);
        into.extend(&rest[..other]);
        rest = &rest[other..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The decoder of the standard's text (G.3.2).
    fn unpack(mut packed: &[u8], length: usize) -> Vec<u8> {
        let mut line = Vec::new();
        while line.len() < length {
            let count = packed[0] as i8;
            if count >= 0 {
                let count = count as usize + 1;
                line.extend(&packed[1..=count]);
                packed = &packed[count + 1..];
            } else if count != -128 {
                line.extend(std::iter::repeat_n(
                    packed[1],
                    (1 - i16::from(count)) as usize,
                ));
                packed = &packed[2..];
            }
        }
        line
    }

    #[test]
    fn runs_and_others() {
        let mut packed = Vec::new();
        pack(&[7, 7, 7, 1, 2, 2, 3], &mut packed);
        assert_eq!(packed, [254, 7, 3, 1, 2, 2, 3]);
        packed.clear();
        pack(&[5; 300], &mut packed);
        assert_eq!(packed, [129, 5, 129, 5, 213, 5]);
    }

    proptest! {
        #[test]
        fn frames_decode_to_what_they_were(
            rows in 1..5_usize,
            columns in 1..300_usize,
            values in proptest::collection::vec(prop_oneof![Just(0), 0..3_u16, any::<u16>()], 1..40),
            repeat in 1..40_usize,
        ) {
            let pixels: Vec<u16> = (0..rows * columns)
                .map(|index| values[index / repeat % values.len()])
                .collect();
            let frame = encode(&pixels, columns, 2);
            prop_assert_eq!(frame.len() % 2, 0);
            prop_assert_eq!(&frame[..4], [2, 0, 0, 0]);
            let offset = |n: usize| {
                u32::from_le_bytes(frame[4 * n..][..4].try_into().unwrap()) as usize
            };
            prop_assert_eq!(offset(1), 64);
            let high = unpack(&frame[offset(1)..], pixels.len());
            let low = unpack(&frame[offset(2)..], pixels.len());
            let found: Vec<u16> = high.iter().zip(&low).map(|(h, l)| u16::from_be_bytes([*h, *l])).collect();
            prop_assert_eq!(found, pixels);
        }
    }
}
