//! SHA-256 digests, written as 64 lowercase hexadecimal digits.

use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::regular;

/// Computes the digest of bytes.
///
/// **Examples**
/// ```
/// let digest = vesal_files::digest::sha256(b"abc");
/// assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
/// ```
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Computes size and digest of a file without holding it in memory.
///
/// **Errors**: those of opening and reading the file, or it is not a regular file.
pub fn sha256_file(path: &Path) -> io::Result<(u64, String)> {
    copy(&mut regular::open(path)?, &mut io::sink())
}

/// Copies all bytes and returns their number and digest.
///
/// **Errors**: those of reading and writing.
pub fn copy(source: &mut impl Read, target: &mut impl Write) -> io::Result<(u64, String)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok((bytes, hex(&hasher.finalize()))),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                target.write_all(&buffer[..read])?;
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a text has the form of a digest.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[digit as usize]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_its_bytes_have_the_same_digest() {
        let bytes: Vec<u8> = (0..600_000_u32).map(|index| (index % 251) as u8).collect();
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), &bytes).expect("written");
        assert_eq!(
            sha256_file(file.path()).expect("read"),
            (600_000, sha256(&bytes))
        );
    }

    #[test]
    fn only_lowercase_hexadecimal_of_the_right_length_is_a_digest() {
        let digest = sha256(b"");
        assert_eq!(
            digest,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert!(is_digest(&digest));
        assert!(!is_digest(&digest.to_uppercase()));
        assert!(!is_digest(&digest[1..]));
        assert!(!is_digest(&format!("{}g", &digest[1..])));
    }
}
