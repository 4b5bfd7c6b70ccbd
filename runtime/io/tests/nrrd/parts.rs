//! Detached headers: one data file or several, and what is skipped in them.

use std::fs;
use std::path::Path;

use vesal_io::image::{ImageError, VoxelError, read_volume};

use crate::nrrd_files::{Nrrd, gzip};

/// Reads a header that lies in a folder.
fn read(folder: &Path, header: &str) -> Result<Vec<f32>, ImageError> {
    let path = folder.join("a.nhdr");
    fs::write(&path, header).unwrap();
    let data = read_volume(&path)?.data;
    Ok(data.t().iter().copied().collect())
}

fn expected() -> Vec<f32> {
    (0..60_u8).map(f32::from).collect()
}

#[test]
fn data_lie_beside_the_header_or_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = Nrrd::default().data;
    fs::create_dir(folder.path().join("below")).unwrap();
    for name in ["a b.raw", "below/a.raw", "./a.raw"] {
        fs::write(folder.path().join(name), &data).unwrap();
        let made = Nrrd::default().with("data file", name);
        assert_eq!(read(folder.path(), &made.header()).unwrap(), expected());
        fs::write(folder.path().join(name), gzip(&data)).unwrap();
        let made = made.with("encoding", "gzip");
        assert_eq!(read(folder.path(), &made.header()).unwrap(), expected());
    }
    let absent = Nrrd::default().with("datafile", "absent.raw");
    let error = read(folder.path(), &absent.header()).unwrap_err();
    let ImageError::Io { path, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*path, folder.path().join("absent.raw"));
    // The header itself is there.
    vesal_io::image::read_header(folder.path().join("a.nhdr")).unwrap();
}

#[test]
fn slices_may_be_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = Nrrd::default().data;
    for (index, slice) in data.chunks(12).enumerate() {
        fs::write(
            folder.path().join(format!("s{:02}.raw", 3 * index + 1)),
            slice,
        )
        .unwrap();
        fs::write(folder.path().join(format!("s{index}.gz")), gzip(slice)).unwrap();
        let text: Vec<_> = slice.iter().map(u8::to_string).collect();
        fs::write(folder.path().join(format!("s{index}.txt")), text.join(", ")).unwrap();
    }
    for (index, rows) in data.chunks(3).enumerate() {
        fs::write(folder.path().join(format!("r{index}")), rows).unwrap();
    }
    for (index, half) in [&data[..24], &data[24..36], &data[36..]]
        .into_iter()
        .enumerate()
    {
        fs::write(folder.path().join(format!("uneven{index}")), half).unwrap();
    }
    let list = |names: &[&str]| format!("LIST\n{}", names.join("\n"));
    let raw = ["s01.raw", "s04.raw", "s07.raw", "s10.raw", "s13.raw"];
    for (value, encoding) in [
        ("s%02d.raw 1 13 3".to_owned(), "raw"),
        ("s%02d.raw 1 13 3 2".to_owned(), "raw"),
        ("s%02d.raw 1 13 3 3".to_owned(), "raw"),
        ("s%d.gz 0 4 1".to_owned(), "gzip"),
        ("s%d.txt 0 4 1".to_owned(), "text"),
        ("r%d 0 19 1 1".to_owned(), "raw"),
        (list(&raw), "raw"),
        (list(&raw).replace("LIST", "LIST 2"), "raw"),
    ] {
        let made = Nrrd::default()
            .with("encoding", encoding)
            .with("data file", &value);
        assert_eq!(
            read(folder.path(), &made.header()).unwrap(),
            expected(),
            "{value}"
        );
    }
    let message = |value: &str| {
        let made = Nrrd::default().with("data file", value);
        read(folder.path(), &made.header()).unwrap_err().to_string()
    };
    for (value, part) in [
        (
            "s%02d.raw 1 10 3".to_owned(),
            "it names 4 data files, expected 5 by its sizes",
        ),
        (
            "r%d 0 19 1".to_owned(),
            "it names 20 data files, expected 5",
        ),
        (
            "uneven%d 0 2 1 3".to_owned(),
            "it names 3 data files, expected 5",
        ),
        (list(&raw[1..]), "it names 4 data files"),
        ("LIST".to_owned(), "it names 0 data files"),
        ("LIST 4".to_owned(), "`data file` is `LIST 4`"),
        ("LIST all".to_owned(), "`data file` is `LIST all`"),
        (
            list(&["s01.raw", "s01.raw", "s07.raw", "s10.raw", "s13.raw"]),
            "it names the data file `s01.raw` several times",
        ),
        ("LIST 0".to_owned(), "`data file` is `LIST 0`"),
        ("s%s.raw 1 5 1".to_owned(), "`data file` is `s%s.raw 1 5 1`"),
        ("s%d.raw 1 999999999999 1".to_owned(), "`data file` is"),
        ("s%d.raw 0 4 1".to_owned(), "cannot read"),
        (
            list(&["s01.raw", "r0", "s07.raw", "s10.raw", "s13.raw"]),
            "it ends after 3 of 12 voxel bytes",
        ),
    ] {
        let found = message(&value);
        assert!(found.contains(part), "{value}: {found}");
    }
}

#[test]
fn lines_and_bytes_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let data = Nrrd::default().data;
    let file = |name: &str, parts: &[&[u8]]| {
        fs::write(folder.path().join(name), parts.concat()).unwrap();
        Nrrd::default().with("data file", name)
    };
    let lines = b"two lines\nof text\n".as_slice();
    let skipped = file("a", &[lines, b"abc", &data])
        .with("line skip", "2")
        .with("byte skip", "3");
    let last = file("b", &[b"whatever", &data]).with("byteskip", "-1");
    // Lines are skipped before it is decompressed, bytes after it.
    let compressed = file("c", &[lines, &gzip(&[b"abc", &data[..]].concat())])
        .with("encoding", "gzip")
        .with("lineskip", "2")
        .with("byte skip", "3");
    for made in [skipped, last, compressed] {
        assert_eq!(
            read(folder.path(), &made.header()).unwrap(),
            expected(),
            "{}",
            made.header()
        );
    }
    // A header with its own data, some bytes after it.
    let attached = Nrrd::default().with("byte skip", "2");
    let attached = attached.clone().data([b"ab", &attached.data[..]].concat());
    fs::write(folder.path().join("a.nrrd"), attached.attached()).unwrap();
    let found = read_volume(folder.path().join("a.nrrd")).unwrap();
    assert_eq!(
        found.data.t().iter().copied().collect::<Vec<_>>(),
        expected()
    );

    for (field, value) in [
        ("line skip", "99"),
        ("byte skip", "1"),
        ("byte skip", "9000000000000000000"),
    ] {
        let made = file("d", &[&data]).with(field, value);
        let error = read(folder.path(), &made.header()).unwrap_err();
        let ImageError::Voxels { reason, .. } = &error else {
            panic!("{error}")
        };
        assert!(matches!(reason, VoxelError::Truncated { .. }), "{error}");
    }
    let made = file("e", &[&data[1..]]).with("byte skip", "-1");
    let error = read(folder.path(), &made.header()).unwrap_err().to_string();
    assert!(
        error.contains("it ends after 59 of 60 voxel bytes"),
        "{error}"
    );
    let made = file("f", &[&gzip(&data)])
        .with("encoding", "gzip")
        .with("byte skip", "-1");
    let error = read(folder.path(), &made.header()).unwrap_err().to_string();
    assert!(
        error.contains("`byte skip` is -1 with gzip encoding"),
        "{error}"
    );
}
