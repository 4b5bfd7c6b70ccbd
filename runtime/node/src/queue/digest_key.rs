//! The node's key of digests: only this node can compute the digests of UIDs that it records and reports.

use std::fs;
use std::io;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::{Grouping, Service};
use crate::queue::digest::{DIGITS, JobKey, digest, hexadecimal};
use crate::queue::durable_files::DurableFiles;

/// Length of a new key in bytes.
const KEY_BYTES: usize = 32;

pub struct DigestKey(Hmac<Sha256>);

impl DigestKey {
    /// A key of these bytes.
    pub fn new(key: &[u8]) -> Self {
        // HMAC takes keys of any length.
        match Hmac::new_from_slice(key) {
            Ok(hmac) => Self(hmac),
            Err(_) => unreachable!("HMAC takes keys of any length"),
        }
    }

    /// Reads the key of a storage folder; creates one, readable by its owner alone, where there is none.
    ///
    /// It is 64 hexadecimal digits, which are themselves the bytes of the HMAC key.
    ///
    /// **Errors**: the system cannot read, write or give random bytes; the file is too short for a key.
    pub fn open(path: &Path, files: &DurableFiles) -> io::Result<Self> {
        match Self::read(path)? {
            Some(secret) => {
                #[cfg(unix)]
                fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
                Ok(secret)
            }
            None => {
                let mut bytes = [0; KEY_BYTES];
                getrandom::fill(&mut bytes).map_err(io::Error::other)?;
                let key = hexadecimal(&bytes);
                files.write_private(path, key.as_bytes())?;
                Ok(Self::new(key.as_bytes()))
            }
        }
    }

    /// Reads the key of a storage folder; `None` where there is none.
    ///
    /// **Errors**: the system cannot read; the file is too short for a key.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(key) if key.len() >= KEY_BYTES => Ok(Some(Self::new(&key))),
            Ok(key) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} bytes, expected at least {KEY_BYTES}", key.len()),
            )),
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(reason) => Err(reason),
        }
    }

    /// Keyed digest of byte strings, which depends on where each of them ends.
    pub fn digest<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut hmac = self.0.clone();
        hmac.update(digest(parts).as_bytes());
        hexadecimal(&hmac.finalize().into_bytes()[..DIGITS / 2])
    }

    /// The key of the job of a service that an instance with these UIDs belongs to.
    pub fn key(&self, service: &Service, study: &str, series: &str) -> JobKey {
        let series = match service.unit {
            Grouping::Series => series,
            Grouping::Study => "",
        };
        JobKey(self.digest([&service.ae_title, study, series].map(str::as_bytes)))
    }
}

impl std::fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_depend_on_the_key() {
        let digests = [b"a", b"b"].map(|key| DigestKey::new(key).digest([b"1.2".as_slice()]));
        assert_ne!(digests[0], digests[1]);
        assert_ne!(digests[0], digest([b"1.2".as_slice()]));
        assert_eq!(digests[0].len(), DIGITS);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let open = || DigestKey::open(&path, &DurableFiles::default());
        let first = open().unwrap().digest([b"1.2".as_slice()]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read(&path).unwrap().len(), 64);
        assert_eq!(open().unwrap().digest([b"1.2".as_slice()]), first);
        fs::write(&path, "short").unwrap();
        assert_eq!(open().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
