//! Digests, and the keys of jobs derived from them.

use std::fmt;

use sha2::{Digest, Sha256};

/// Hexadecimal digits of a digest.
pub const DIGITS: usize = 32;

pub fn is_digest(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Digest of byte strings, which depends on where each of them ends.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hexadecimal(&hash.finalize()[..DIGITS / 2])
}

pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Name of a job: a keyed digest of its service and of the UIDs that it groups.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey(pub String);

impl JobKey {
    /// The key of a folder's name; `None` for any other name.
    pub fn from_name(name: &str) -> Option<Self> {
        is_digest(name, DIGITS).then(|| Self(name.to_owned()))
    }
}

/// The first digits, which are enough for a log.
impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", &self.0[..12])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_depend_on_where_parts_end() {
        assert_ne!(
            digest([b"ab".as_slice(), b"c"]),
            digest([b"a".as_slice(), b"bc"])
        );
        assert_eq!(hexadecimal(&[0, 255]), "00ff");
    }

    #[test]
    fn keys_come_back_as_they_were_put() {
        let key = digest([b"a".as_slice()]);
        assert_eq!(JobKey::from_name(&key), Some(JobKey(key)));
        assert_eq!(JobKey::from_name("../../../../etc/passwd/aaaaaaaaa"), None);
    }
}
