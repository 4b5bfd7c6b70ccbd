//! NRRD: header, volume and label map.

#[path = "../../../runtime/io/tests/nrrd_files/mod.rs"]
mod made;

use self::made::Nrrd;
use crate::Target;
use crate::image;
use crate::scratch::{FILE_MARK, ScratchFolder, files};

/// A header with its data, or one and its data files `0`, `1` and so on.
pub const VOLUME: Target = Target {
    name: "nrrd",
    run: |bytes| {
        let folder = ScratchFolder::new();
        let mut files = files(bytes).into_iter();
        let path = folder.file("a.nrrd", files.next().unwrap_or_default());
        for (index, data) in files.enumerate() {
            folder.file(&index.to_string(), data);
        }
        image::read(&path);
    },
    seeds: || {
        let made = Nrrd::default;
        let detached = |made: Nrrd, parts: &[&[u8]]| {
            let mut bytes = made.header().into_bytes();
            for part in parts {
                bytes.extend(FILE_MARK);
                bytes.extend(*part);
            }
            bytes
        };
        let data = made().data;
        let slices: Vec<&[u8]> = data.chunks(12).collect();
        let four = made()
            .with("dimension", "4")
            .with("kinds", "list domain domain domain")
            .with("sizes", "2 3 2 5")
            .with("space directions", "none (1,0,0) (0,2,0) (0,0,4)");
        let doubles = made()
            .with("type", "double")
            .with("endian", "big")
            .with("space units", "\"mm\" \"mm\" \"mm\"")
            .data(data.repeat(8));
        let text = made()
            .with("encoding", "text")
            .with("type", "float")
            .data("1.5 nan,-3e2 ".repeat(20));
        let bare = made()
            .without("space")
            .without("space directions")
            .with("spacings", "1 nan 2.5");
        vec![
            made().attached(),
            made().gzip().attached(),
            four.attached(),
            doubles.attached(),
            text.attached(),
            bare.attached(),
            detached(made().with("data file", "0"), &[&data]),
            detached(
                made().with("data file", "0").with("byte skip", "-1"),
                &[&data],
            ),
            detached(made().with("data file", "%d 0 4 1"), &slices),
            detached(made().with("data file", "LIST\n0\n1\n2\n3\n4"), &slices),
        ]
    },
    wrapping: None,
};
