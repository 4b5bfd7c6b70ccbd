//! UIDs derived from digests of the content.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Bytes of a block of SHA-256.
const BLOCK_BYTES: usize = 64;

/// Least bytes of a key.
pub const KEY_BYTES_MIN: usize = 32;

/// A key of the UIDs of results: without it, no one can test which images a UID was made from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UidKey([u8; BLOCK_BYTES]);

impl fmt::Debug for UidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UidKey(..)")
    }
}

impl UidKey {
    /// Takes a key of [`KEY_BYTES_MIN`] bytes or more; `None` for a shorter one.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < KEY_BYTES_MIN {
            return None;
        }
        // As in HMAC (RFC 2104, section 2).
        let mut key = [0; BLOCK_BYTES];
        if bytes.len() > BLOCK_BYTES {
            key[..32].copy_from_slice(&Sha256::digest(bytes));
        } else {
            key[..bytes.len()].copy_from_slice(bytes);
        }
        Some(Self(key))
    }

    /// HMAC-SHA-256 of a digest.
    pub(super) fn seal(&self, digest: &[u8; 32]) -> [u8; 32] {
        // HMAC accepts keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("a key of {BLOCK_BYTES} bytes is one");
        };
        mac.update(digest);
        mac.finalize().into_bytes().into()
    }
}

/// Digest of texts, which depends on where each of them ends.
pub(in crate::dicom) fn digest<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in texts {
        let text = text.as_ref();
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

/// A UID from a digest: a UUID of version 8 as a decimal number under `2.25`.
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

    #[test]
    fn keys_seal_as_hmac_does() {
        // RFC 4231, test cases 6 and 7 have keys that are longer than a block; the text is 32 bytes here.
        let text: [u8; 32] = std::array::from_fn(|at| at as u8);
        for length in [32, 64, 65, 131] {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8 ^ 0xaa).collect();
            let key = UidKey::new(&bytes).unwrap();
            let mut mac = Hmac::<Sha256>::new_from_slice(&bytes).unwrap();
            mac.update(&text);
            let expected: [u8; 32] = mac.finalize().into_bytes().into();
            assert_eq!(key.seal(&text), expected);
            assert!(!format!("{key:?}").contains("170"));
        }
        assert_eq!(UidKey::new(&[1; 31]), None);
    }
}
