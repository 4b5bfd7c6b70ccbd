//! MetaImage: header, volume and label map.

#[path = "../../../runtime/io/tests/metaimage_files/mod.rs"]
mod made;

use self::made::MetaImage;
use crate::Target;
use crate::image;
use crate::scratch::{FILE_MARK, ScratchFolder, files};

/// A header with its data, or one and its data files `0`, `1` and so on.
pub const VOLUME: Target = Target {
    name: "metaimage",
    run: |bytes| {
        let folder = ScratchFolder::new();
        let mut files = files(bytes).into_iter();
        let path = folder.file("a.mha", files.next().unwrap_or_default());
        for (index, data) in files.enumerate() {
            folder.file(&index.to_string(), data);
        }
        image::read(&path);
    },
    seeds: || {
        let made = MetaImage::default;
        let detached = |made: MetaImage, name: &str, parts: &[&[u8]]| {
            let mut bytes = made.header(name).into_bytes();
            for part in parts {
                bytes.extend(FILE_MARK);
                bytes.extend(*part);
            }
            bytes
        };
        let data = made().data;
        let slices: Vec<&[u8]> = data.chunks(12).collect();
        let four = made()
            .with("NDims", "4")
            .with("DimSize", "3 2 5 2")
            .with("TransformMatrix", "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1")
            .with("Offset", "0 0 0 0")
            .with("ElementSpacing", "1 2 4 1");
        let doubles = made()
            .with("ElementType", "MET_DOUBLE")
            .with("BinaryDataByteOrderMSB", "True")
            .data(data.repeat(8));
        let channels = made()
            .with("ElementType", "MET_UCHAR_ARRAY")
            .with("ElementNumberOfChannels", "2")
            .data(data.repeat(2));
        let text = made()
            .with("BinaryData", "False")
            .with("ElementType", "MET_FLOAT")
            .data("1.5 nan -3e2 ".repeat(20));
        vec![
            made().attached(),
            made().compressed().attached(),
            four.attached(),
            doubles.attached(),
            channels.attached(),
            text.attached(),
            detached(made(), "0", &[&data]),
            detached(made().with("HeaderSize", "-1"), "0", &[&data]),
            detached(made(), "%d 0 4 1", &slices),
            detached(made(), "LIST\n0\n1\n2\n3\n4", &slices),
        ]
    },
    wrapping: None,
};
