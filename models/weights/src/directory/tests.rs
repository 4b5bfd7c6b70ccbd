//! Archives of a few bytes: whole, and with false records.

use std::io::Cursor;

use super::*;

/// Entries of no bytes, their directory, and an end record with this comment.
fn archive(names: &[&str], comment: &[u8]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for name in names {
        let local = (bytes.len() as u32).to_le_bytes();
        let length = (name.len() as u16).to_le_bytes();
        bytes.extend(
            [
                &b"PK\x03\x04"[..],
                &[0; 22],
                &length,
                &[0; 2],
                name.as_bytes(),
            ]
            .concat(),
        );
        let fixed = [&b"PK\x01\x02"[..], &[0; 24], &length, &[0; 12], &local].concat();
        directory.extend([&fixed, name.as_bytes()].concat());
    }
    let count = (names.len() as u16).to_le_bytes();
    let [size, start] = [directory.len(), bytes.len()].map(|value| (value as u32).to_le_bytes());
    let length = (comment.len() as u16).to_le_bytes();
    let end = [
        b"PK\x05\x06",
        &[0; 4][..],
        &count,
        &count,
        &size,
        &start,
        &length,
        comment,
    ];
    [bytes, directory, end.concat()].concat()
}

fn read(bytes: &[u8]) -> Result<Directory, DirectoryError> {
    Directory::read(&mut Cursor::new(bytes), bytes.len() as u64)
}

#[test]
fn entries_are_listed_with_their_places() {
    for comment in [&b""[..], b"a comment", &[b'x'; 65_535]] {
        let bytes = archive(&["a/b", "c"], comment);
        let found = read(&bytes).unwrap();
        assert_eq!(found.entries.len(), 2);
        let mut file = Cursor::new(bytes);
        assert_eq!(found.place(&mut file, &found.entries["a/b"]).unwrap(), 33);
        assert_eq!(found.place(&mut file, &found.entries["c"]).unwrap(), 64);
    }
    assert!(read(&archive(&[], b"")).unwrap().entries.is_empty());
}

#[test]
fn archives_with_more_than_one_reading_are_refused() {
    let intact = archive(&["a", "b"], b"");
    let twice = archive(&["a", "b", "a"], b"");
    assert!(matches!(
        read(&twice),
        Err(DirectoryError::Duplicate { entry }) if entry == "a"
    ));
    let behind = [&intact[..], b"more"].concat();
    let before = [b"more", &intact[..]].concat();
    assert!(matches!(read(&behind), Err(DirectoryError::NoEnd)));
    assert!(matches!(read(&before), Err(DirectoryError::Damaged(_))));
    // The last record counts, even if an earlier one is intact.
    let two = [&intact[..], b"PK\x05\x06", &[0; 18]].concat();
    assert!(matches!(read(&two), Err(DirectoryError::Damaged(_))));
    let mut fewer = intact.clone();
    let end = fewer.len() - END_BYTES;
    for at in [8, 10] {
        fewer[end + at] = 1;
    }
    assert!(matches!(read(&fewer), Err(DirectoryError::Damaged(_))));
    for at in 0..intact.len() {
        for bit in 0..8 {
            let mut other = intact.clone();
            other[at] ^= 1 << bit;
            if let Ok(found) = read(&other) {
                let mut file = Cursor::new(&other);
                for entry in found.entries.values() {
                    let _ = found.place(&mut file, entry);
                }
            }
        }
    }
}

#[test]
fn many_end_records_take_no_time() {
    let records = b"PK\x05\x06".repeat(1 << 20);
    assert!(matches!(read(&records), Err(DirectoryError::NoEnd)));
}

#[test]
fn sizes_of_64_bits_are_read_where_they_are_stated() {
    let intact = archive(&["a"], b"");
    let (front, end) = intact.split_at(intact.len() - END_BYTES);
    let start = u64::from(u32_at(end, 16));
    let [count, size, at] = [1, front.len() as u64 - start, front.len() as u64];
    let wide = |at: u64| {
        let record = [
            b"PK\x06\x06".to_vec(),
            44_u64.to_le_bytes().to_vec(),
            vec![0; 12],
        ];
        let numbers = [count, count, size, start].map(u64::to_le_bytes).concat();
        let locator = [
            &b"PK\x06\x07"[..],
            &[0; 4],
            &at.to_le_bytes(),
            &[1, 0, 0, 0],
        ]
        .concat();
        let mut end = end.to_vec();
        end[8..20].fill(0xff);
        [front, &record.concat(), &numbers, &locator, &end].concat()
    };
    assert_eq!(read(&wide(at)).unwrap().entries.len(), 1);
    for other in [0, at - 1, at + 1, u64::MAX] {
        assert!(read(&wide(other)).is_err());
    }
    let mut sizes = [7, u64::from(u32::MAX), u64::from(u32::MAX)];
    let field = [&[9, 0, 1, 0, 5, 1, 0, 16, 0][..], &[1; 16]].concat();
    widen(&mut sizes, &field).unwrap();
    assert_eq!(sizes, [7, 0x0101_0101_0101_0101, 0x0101_0101_0101_0101]);
    assert!(widen(&mut [u64::from(u32::MAX); 3], &field).is_err());
}
