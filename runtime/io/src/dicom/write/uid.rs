//! UIDs that are the same for the same input.

use sha2::{Digest, Sha256};

/// Digest of texts; where one ends and the next begins counts.
pub(in crate::dicom) fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

/// A UID made of a digest: a UUID of version 8 as a decimal number under `2.25`.
///
/// **Source**: PS3.5 B.2; RFC 9562 section 5.8.
pub(in crate::dicom) fn uid(digest: &[u8; 32]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::uid::is_uid;

    #[test]
    fn uids_are_uuids_and_depend_on_where_texts_end() {
        let a = uid(&digest(["ab", "c"]));
        assert_eq!(a, uid(&digest(["ab", "c"])));
        assert_ne!(a, uid(&digest(["a", "bc"])));
        assert!(is_uid(&a) && a.len() <= 44, "{a}");
        let number: u128 = a.strip_prefix("2.25.").unwrap().parse().unwrap();
        assert_eq!(number >> 76 & 0xf, 8);
        assert_eq!(number >> 62 & 0b11, 0b10);
    }
}
