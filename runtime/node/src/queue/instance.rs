//! Instances of a job, identified by digests.

use crate::queue::digest::{DIGITS, is_digest};

/// Hexadecimal digits of the digest of a caller.
const OWNER_DIGITS: usize = 16;

/// A received instance: keyed digests of its UID, its content and its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedInstance {
    pub uid: String,
    /// Digest of the data set.
    pub content: String,
    /// Digest of the caller.
    pub owner: String,
}

impl ReceivedInstance {
    /// An instance from its digests; only the first digits of the caller's are kept.
    pub fn new(uid: String, content: String, caller: &str) -> Self {
        Self {
            uid,
            content,
            owner: caller.chars().take(OWNER_DIGITS).collect(),
        }
    }
}

/// An instance in the folder of a job, beside the digest of its UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInstance {
    /// Digest of the data set.
    pub content: String,
    /// Digest of the caller that sent it.
    pub owner: String,
    /// Number in the order of arrival: of two copies of an instance, the one with the larger number counts.
    pub number: u64,
}

impl StoredInstance {
    /// Name of the file of an instance with this digest of its UID.
    pub fn file(&self, uid: &str) -> String {
        let Self {
            content,
            owner,
            number,
        } = self;
        format!("{uid}.{content}.{owner}.{number:016x}.dcm")
    }

    /// The digest of the UID and the rest, by the name of a file.
    pub fn from_file(name: &str) -> Option<(String, Self)> {
        let mut parts = name.strip_suffix(".dcm")?.split('.');
        let (uid, content, owner, number) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let fits = parts.next().is_none()
            && is_digest(uid, DIGITS)
            && is_digest(content, DIGITS)
            && is_digest(owner, OWNER_DIGITS)
            && is_digest(number, 16);
        let number = u64::from_str_radix(number, 16).ok()?;
        fits.then(|| {
            let (content, owner) = (content.to_owned(), owner.to_owned());
            let copy = Self {
                content,
                owner,
                number,
            };
            (uid.to_owned(), copy)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::digest::digest;

    #[test]
    fn names_come_back_as_they_were_put() {
        let copy = StoredInstance {
            content: digest([b"x".as_slice()]),
            owner: "0123456789abcdef".to_owned(),
            number: 0xfeed,
        };
        let uid = digest([b"1.2.3".as_slice()]);
        assert_eq!(
            StoredInstance::from_file(&copy.file(&uid)),
            Some((uid, copy))
        );
        for other in ["", ".dcm", "job.json", "a.b.dcm", "a.b.c.d.dcm"] {
            assert_eq!(StoredInstance::from_file(other), None);
        }
    }
}
