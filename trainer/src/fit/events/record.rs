//! Framing of records in event files.
//!
//! **Definition**: length (8 bytes, little-endian), its masked checksum (4 bytes), the data, their masked checksum (4
//! bytes).
//!
//! **Source**: TensorFlow `TFRecord`; the checksum is CRC-32C (Castagnoli et al. 1993; RFC 3720, B.4).

/// Bytes of the length and its checksum.
const HEAD: usize = 12;
/// Bytes of a checksum.
const CHECKSUM: usize = 4;

pub fn encode(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(HEAD + data.len() + CHECKSUM);
    record.extend(length);
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

/// The data of the first record, and the length of the whole record; `None` if it is incomplete or damaged.
pub fn decode(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (checksum, rest) = rest.split_first_chunk::<CHECKSUM>()?;
    if masked(length) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let count = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (data, rest) = rest.split_at_checked(count)?;
    let (checksum, _) = rest.split_first_chunk::<CHECKSUM>()?;
    (masked(data) == u32::from_le_bytes(*checksum)).then_some((data, HEAD + count + CHECKSUM))
}

/// The masked checksum: rotated and shifted, because the checksum of data that contain checksums is weak.
fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, &byte| {
        (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)]
    })
}

/// CRC remainders of all byte values.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&ascending), 0x46dd_794e);
    }

    #[test]
    fn a_record_comes_back_and_a_damaged_one_does_not() {
        let record = encode(b"loss");
        assert_eq!(decode(&record), Some((b"loss".as_slice(), record.len())));
        for position in 0..record.len() {
            assert_eq!(decode(&record[..position]), None);
            let mut damaged = record.clone();
            damaged[position] ^= 1;
            assert_eq!(decode(&damaged), None, "{position}");
        }
    }
}
