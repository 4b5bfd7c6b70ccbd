//! The directory of a ZIP archive: read once, from the one end record that closes the file.
//!
//! Readers of ZIP archives search for records, so that a file may hold several directories, of which each reader takes
//! another one, or tries all of them. Here an archive has one form: entries, directory, end record, without gaps before the
//! end and with nothing behind it, and no name twice.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::io::{self, Read, Seek, SeekFrom};

use thiserror::Error;

/// Size of an end record without its comment.
const END_BYTES: usize = 22;
/// Longest comment behind an end record.
const MAX_COMMENT_BYTES: usize = u16::MAX as usize;
/// Size of the record that says where the 64-bit end record is, which comes right before the end record.
const LOCATOR_BYTES: u64 = 20;
/// Size of a 64-bit end record without what programs may add.
const END64_BYTES: u64 = 56;
/// Size of an entry of the directory without its name and further fields.
const ENTRY_BYTES: usize = 46;
/// Size of what precedes an entry's bytes, without its name and further fields.
const LOCAL_BYTES: usize = 30;
/// Largest directory; one of a hundred thousand entries has about 10 MiB.
const MAX_DIRECTORY_BYTES: u64 = 64 << 20;

/// Why a file is no ZIP archive.
#[derive(Debug, Error)]
pub enum DirectoryError {
    #[error("the file cannot be read")]
    Read(#[from] io::Error),
    /// No end record whose comment reaches to the end of the file.
    #[error("the file does not end with the end record of a ZIP archive")]
    NoEnd,
    /// Places or sizes that contradict each other.
    #[error("the archive's directory is damaged: {0}")]
    Damaged(&'static str),
    #[error("the archive's directory has {found} bytes, expected at most {MAX_DIRECTORY_BYTES}")]
    Size { found: u64 },
    /// Two entries of one name, of which programs read different ones.
    #[error("the archive has several entries `{entry}`, expected different names")]
    Duplicate { entry: String },
    /// Encryption, or a way of compression other than deflate.
    #[error("entry `{entry}` is stored in a way that is not read: {problem}")]
    Unsupported {
        entry: String,
        problem: &'static str,
    },
}

/// How the bytes of an entry are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryMethod {
    Stored,
    Deflated,
    Unknown,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub method: EntryMethod,
    pub encrypted: bool,
    pub crc: u32,
    /// Bytes in the file.
    pub compressed: u64,
    pub size: u64,
    /// Place of what precedes the bytes.
    local: u64,
}

/// The central directory of a ZIP archive.
#[derive(Debug)]
pub(crate) struct Directory {
    pub entries: HashMap<Box<str>, Entry>,
    /// Place of the directory: entries end before it.
    start: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn read_at<R: Read + Seek>(file: &mut R, at: u64, count: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = vec![0; count];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Number, size and place of the directory's entries.
struct End {
    entries: u64,
    bytes: u64,
    start: u64,
    /// Where the directory has to end.
    at: u64,
}

impl Directory {
    /// Reads the directory of a file of this size, in time linear in its end.
    ///
    /// **Errors**: [`DirectoryError`].
    ///
    /// **Source**: PKWARE 2022, APPNOTE.TXT 6.3.10, 4.3.12 to 4.3.16.
    pub fn read<R: Read + Seek>(file: &mut R, size: u64) -> Result<Self, DirectoryError> {
        let end = find_end(file, size)?;
        if end.start.checked_add(end.bytes) != Some(end.at) {
            return Err(DirectoryError::Damaged(
                "it does not reach from its place to the end record",
            ));
        }
        if end.bytes > MAX_DIRECTORY_BYTES {
            return Err(DirectoryError::Size { found: end.bytes });
        }
        if end.entries > end.bytes / ENTRY_BYTES as u64 {
            return Err(DirectoryError::Damaged(
                "it states more entries than it has",
            ));
        }
        let bytes = read_at(file, end.start, end.bytes as usize)?;
        let mut entries = HashMap::with_capacity(end.entries as usize);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (name, entry) = read_entry(&mut rest)?;
            match entries.entry(name) {
                Slot::Vacant(slot) => slot.insert(entry),
                Slot::Occupied(slot) => {
                    let entry = slot.key().to_string();
                    return Err(DirectoryError::Duplicate { entry });
                }
            };
        }
        if entries.len() as u64 != end.entries {
            return Err(DirectoryError::Damaged(
                "it has another number of entries than its end record states",
            ));
        }
        Ok(Self {
            entries,
            start: end.start,
        })
    }

    /// Where the bytes of an entry begin.
    ///
    /// **Errors**: its place is not that of an entry, or its bytes reach into the directory.
    pub fn place<R: Read + Seek>(
        &self,
        file: &mut R,
        entry: &Entry,
    ) -> Result<u64, DirectoryError> {
        let outside = || DirectoryError::Damaged("an entry does not lie before it");
        let before = |end: Option<u64>| end.filter(|&end| end <= self.start).ok_or_else(outside);
        before(entry.local.checked_add(LOCAL_BYTES as u64))?;
        let header = read_at(file, entry.local, LOCAL_BYTES)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(outside());
        }
        let names = u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        let place = entry.local + LOCAL_BYTES as u64 + names;
        before(place.checked_add(entry.compressed))?;
        Ok(place)
    }
}

/// Finds the end record: the last one whose comment reaches to the end of the file.
fn find_end<R: Read + Seek>(file: &mut R, size: u64) -> Result<End, DirectoryError> {
    let count = size.min((END_BYTES + MAX_COMMENT_BYTES) as u64) as usize;
    let tail = read_at(file, size - count as u64, count)?;
    let closes = |&at: &usize| {
        let comment = tail.len() - at - END_BYTES;
        tail[at..].starts_with(b"PK\x05\x06") && usize::from(u16_at(&tail, at + 20)) == comment
    };
    let last = tail.len().checked_sub(END_BYTES);
    let at = last.and_then(|last| (0..=last).rev().find(closes));
    let at = at.ok_or(DirectoryError::NoEnd)?;
    let (record, at) = (&tail[at..], size - (tail.len() - at) as u64);
    let end = End {
        entries: u16_at(record, 10).into(),
        bytes: u32_at(record, 12).into(),
        start: u32_at(record, 16).into(),
        at,
    };
    let wide = match at.checked_sub(LOCATOR_BYTES) {
        Some(place) => Some(read_at(file, place, LOCATOR_BYTES as usize)?),
        None => None,
    };
    match wide.filter(|locator| locator.starts_with(b"PK\x06\x07")) {
        Some(locator) => find_wide_end(file, &end, u64_at(&locator, 8)),
        None if u16_at(record, 4) != 0 || u16_at(record, 8) != u16_at(record, 10) => {
            Err(DirectoryError::Damaged("it is one of several disks"))
        }
        None => Ok(end),
    }
}

/// Reads the 64-bit end record at a place; it has to end where its locator begins.
fn find_wide_end<R: Read + Seek>(
    file: &mut R,
    narrow: &End,
    at: u64,
) -> Result<End, DirectoryError> {
    const DAMAGED: DirectoryError =
        DirectoryError::Damaged("its 64-bit end record is not where it should be");
    let locator = narrow.at - LOCATOR_BYTES;
    if at.checked_add(END64_BYTES).is_none_or(|end| end > locator) {
        return Err(DAMAGED);
    }
    let record = read_at(file, at, END64_BYTES as usize)?;
    let length = u64_at(&record, 4).checked_add(12);
    let end = length.and_then(|length| at.checked_add(length));
    if !record.starts_with(b"PK\x06\x06") || end != Some(locator) {
        return Err(DAMAGED);
    }
    let wide = End {
        entries: u64_at(&record, 32),
        bytes: u64_at(&record, 40),
        start: u64_at(&record, 48),
        at,
    };
    // The narrow record states the same, or that it cannot.
    let agree = [
        (narrow.entries, wide.entries, u64::from(u16::MAX)),
        (narrow.bytes, wide.bytes, u64::from(u32::MAX)),
        (narrow.start, wide.start, u64::from(u32::MAX)),
    ];
    if u32_at(&record, 16) != 0 || u64_at(&record, 24) != wide.entries {
        return Err(DirectoryError::Damaged("it is one of several disks"));
    }
    if agree
        .into_iter()
        .any(|(narrow, wide, beyond)| narrow != wide && narrow != beyond)
    {
        return Err(DirectoryError::Damaged("its two end records differ"));
    }
    Ok(wide)
}

/// Takes the first entry from the directory's bytes.
fn read_entry(rest: &mut &[u8]) -> Result<(Box<str>, Entry), DirectoryError> {
    let cut = || DirectoryError::Damaged("an entry is cut off");
    let (fixed, behind) = rest.split_at_checked(ENTRY_BYTES).ok_or_else(cut)?;
    if !fixed.starts_with(b"PK\x01\x02") {
        return Err(DirectoryError::Damaged("an entry does not begin as one"));
    }
    let lengths = [28, 30, 32].map(|at| usize::from(u16_at(fixed, at)));
    let (name, behind) = behind.split_at_checked(lengths[0]).ok_or_else(cut)?;
    let (extra, behind) = behind.split_at_checked(lengths[1]).ok_or_else(cut)?;
    let (_comment, behind) = behind.split_at_checked(lengths[2]).ok_or_else(cut)?;
    *rest = behind;
    let name =
        std::str::from_utf8(name).map_err(|_| DirectoryError::Damaged("a name is not UTF-8"))?;
    let mut sizes = [24, 20, 42].map(|at| u64::from(u32_at(fixed, at)));
    widen(&mut sizes, extra)?;
    let [size, compressed, local] = sizes;
    let method = match u16_at(fixed, 10) {
        0 => EntryMethod::Stored,
        8 => EntryMethod::Deflated,
        _ => EntryMethod::Unknown,
    };
    if method == EntryMethod::Stored && size != compressed {
        return Err(DirectoryError::Damaged("a stored entry has two sizes"));
    }
    let entry = Entry {
        method,
        encrypted: u16_at(fixed, 8) & 1 == 1,
        crc: u32_at(fixed, 16),
        compressed,
        size,
        local,
    };
    Ok((name.into(), entry))
}

/// Takes sizes and place that need 64 bits from the field that has them, in this order.
fn widen(sizes: &mut [u64; 3], mut extra: &[u8]) -> Result<(), DirectoryError> {
    const WIDE: u16 = 1;
    let missing = || DirectoryError::Damaged("an entry lacks its 64-bit sizes");
    if sizes.iter().all(|&size| size != u64::from(u32::MAX)) {
        return Ok(());
    }
    while let Some((head, behind)) = extra.split_at_checked(4) {
        let length = usize::from(u16_at(head, 2));
        let (mut field, behind) = behind.split_at_checked(length).ok_or_else(missing)?;
        extra = behind;
        if u16_at(head, 0) != WIDE {
            continue;
        }
        for size in sizes
            .iter_mut()
            .filter(|size| **size == u64::from(u32::MAX))
        {
            let (value, behind) = field.split_at_checked(8).ok_or_else(missing)?;
            *size = u64_at(value, 0);
            field = behind;
        }
        return Ok(());
    }
    Err(missing())
}

#[cfg(test)]
mod tests;
