//! One image in every form.

use std::fs;
use std::path::Path;

use vesal_io::image::{
    ImageError, ImageFile, OpenOptions, read_channels, read_header, read_label_map, read_volume,
};

use crate::metaimage_files::{MetaImage, zlib};
use crate::nrrd_files::gzip;

/// Reads a header that lies in a folder.
fn read(folder: &Path, header: &str) -> Result<Vec<f32>, ImageError> {
    let path = folder.join("a.mhd");
    fs::write(&path, header).unwrap();
    let data = read_volume(&path)?.data;
    Ok(data.t().iter().copied().collect())
}

fn expected() -> Vec<f32> {
    (0..60_u8).map(f32::from).collect()
}

macro_rules! bytes {
    ($number:ty, $big:expr) => {
        (0..60_u8).flat_map(|value| match $big {
            true => (value as $number).to_be_bytes().to_vec(),
            false => (value as $number).to_le_bytes().to_vec(),
        })
    };
}

#[test]
fn all_types_and_byte_orders_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mha");
    for big in [false, true] {
        for (name, data) in [
            ("MET_CHAR", bytes!(i8, big).collect::<Vec<_>>()),
            ("MET_UCHAR", bytes!(u8, big).collect()),
            ("MET_SHORT", bytes!(i16, big).collect()),
            ("MET_USHORT", bytes!(u16, big).collect()),
            ("MET_INT", bytes!(i32, big).collect()),
            ("MET_UINT", bytes!(u32, big).collect()),
            ("MET_LONG", bytes!(i32, big).collect()),
            ("MET_ULONG", bytes!(u32, big).collect()),
            ("MET_LONG_LONG", bytes!(i64, big).collect()),
            ("MET_ULONG_LONG", bytes!(u64, big).collect()),
            ("MET_FLOAT", bytes!(f32, big).collect()),
            ("MET_DOUBLE", bytes!(f64, big).collect()),
        ] {
            let made = MetaImage::default()
                .with("ElementType", name)
                .with("BinaryDataByteOrderMSB", if big { "True" } else { "False" })
                .data(data);
            for made in [made.clone(), made.compressed()] {
                fs::write(&path, made.attached()).unwrap();
                let volume = read_volume(&path).unwrap();
                let found: Vec<f32> = volume.data.t().iter().copied().collect();
                assert_eq!(found, expected(), "{name} {big}");
                let labels = read_label_map(&path).unwrap();
                assert_eq!(labels.data[[2, 3, 4]], 59);
            }
        }
    }
}

#[test]
fn places_are_in_ras() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mha");
    let affine = |made: MetaImage| {
        fs::write(&path, made.attached()).unwrap();
        read_header(&path).unwrap().geometry.affine.0
    };
    let made = MetaImage::default;
    let origin = [7.5, -8.0, 9.25];
    let rows = |rows: [[f64; 3]; 3], origin: [f64; 3]| {
        let row = |at: usize| [rows[at][0], rows[at][1], rows[at][2], origin[at]];
        [row(0), row(1), row(2)]
    };
    let straight = [[-1.0, 0.0, 0.0], [0.0, -2.0, 0.0], [0.0, 0.0, 4.0]];
    assert_eq!(affine(made())[..3], rows(straight, origin));
    // The first voxel axis points along the second of the patient, and so on.
    let turned = made()
        .without("TransformMatrix")
        .with("Rotation", "0 1 0 0 0 1 1 0 0")
        .with("CenterOfRotation", "100 100 100")
        .with("AnatomicalOrientation", "RAS");
    let expected = [[0.0, 0.0, -4.0], [-1.0, 0.0, 0.0], [0.0, 2.0, 0.0]];
    assert_eq!(affine(turned)[..3], rows(expected, origin));
    let sized = made()
        .without("ElementSpacing")
        .with("ElementSize", "1 2 4");
    assert_eq!(affine(sized)[..3], rows(straight, origin));
    let moved = made().without("Offset").with("Origin", "1 2 3");
    assert_eq!(affine(moved)[..3], rows(straight, [-1.0, -2.0, 3.0]));
    let bare = made()
        .without("TransformMatrix")
        .without("ElementSpacing")
        .without("Offset");
    let unit = [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]];
    assert_eq!(affine(bare)[..3], rows(unit, [0.0; 3]));
    let header = read_header(&path).unwrap();
    assert_eq!(header.no_orientation, Some("no `TransformMatrix`"));
    assert_eq!(header.affine_source, "ElementSpacing");
}

#[test]
fn channels_come_first_or_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mha");
    let data: Vec<u8> = (0..120).collect();
    let last = MetaImage::default()
        .with("NDims", "4")
        .with("DimSize", "3 4 5 2")
        .with("TransformMatrix", "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1")
        .with("Offset", "0 0 0 0")
        .with("ElementSpacing", "1 2 4 1")
        .data(data.clone());
    fs::write(&path, last.attached()).unwrap();
    let found = read_channels(&path).unwrap();
    assert_eq!(found.data.shape(), [2, 3, 4, 5]);
    assert_eq!(
        (found.data[[0, 1, 0, 0]], found.data[[1, 0, 0, 0]]),
        (1.0, 60.0)
    );
    assert!(read_volume(&path).is_err());
    for kind in ["MET_UCHAR", "MET_UCHAR_ARRAY"] {
        let first = MetaImage::default()
            .with("ElementType", kind)
            .with("ElementNumberOfChannels", "2")
            .data(data.clone());
        fs::write(&path, first.attached()).unwrap();
        let found = read_channels(&path).unwrap();
        assert_eq!(found.data.shape(), [2, 3, 4, 5]);
        assert_eq!(
            (found.data[[0, 1, 0, 0]], found.data[[1, 0, 0, 0]]),
            (2.0, 1.0)
        );
    }
    let both = last.with("ElementNumberOfChannels", "2").data([0; 240]);
    fs::write(&path, both.attached()).unwrap();
    assert!(read_channels(&path).is_err());
}

#[test]
fn data_lie_beside_the_header_or_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let made = MetaImage::default;
    let data = made().data;
    fs::create_dir(at("below")).unwrap();
    for name in ["a b.raw", "below/a.raw", "./a.raw"] {
        fs::write(at(name), &data).unwrap();
        let header = made().header(name);
        assert_eq!(read(folder.path(), &header).unwrap(), expected());
    }
    // Compressed data are one zlib or gzip stream, whatever length is stated.
    let compressed = made()
        .with("CompressedData", "True")
        .with("CompressedDataSize", "0");
    for bytes in [zlib(&data), gzip(&data)] {
        fs::write(at("a.zraw"), bytes).unwrap();
        let header = compressed.header("a.zraw");
        assert_eq!(read(folder.path(), &header).unwrap(), expected());
    }
    for (index, slice) in data.chunks(12).enumerate() {
        fs::write(at(&format!("s{:02}", index + 1)), slice).unwrap();
        fs::write(at(&format!("z{}", index + 1)), zlib(slice)).unwrap();
    }
    for value in [
        "s%02d 1 5 1",
        "s%02d 1 5",
        "s%02d 1",
        "s%02d",
        "s%02d 1 5 1 2",
        "LIST\ns01\ns02\ns03\ns04\ns05",
        "LIST 2D\ns01\ns02\ns03\ns04\ns05\n\n",
    ] {
        let found = read(folder.path(), &made().header(value)).unwrap();
        assert_eq!(found, expected(), "{value}");
    }
    let found = read(folder.path(), &compressed.header("z%d 1 5 1")).unwrap();
    assert_eq!(found, expected());

    // Bytes before the voxels.
    fs::write(at("h"), [b"1234", &data[..]].concat()).unwrap();
    for size in ["4", "-1"] {
        let header = made().with("HeaderSize", size).header("h");
        assert_eq!(read(folder.path(), &header).unwrap(), expected());
    }
    // Numbers as text.
    let text: Vec<_> = data.iter().map(u8::to_string).collect();
    let text = made().with("BinaryData", "False").data(text.join(" "));
    fs::write(at("t.mha"), text.attached()).unwrap();
    let found = read_volume(at("t.mha")).unwrap();
    assert_eq!(
        found.data.t().iter().copied().collect::<Vec<_>>(),
        expected()
    );
}

#[test]
fn files_are_known_by_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.bin");
    for made in [
        MetaImage::default(),
        MetaImage::default().without("ObjectType"),
    ] {
        fs::write(&path, made.attached()).unwrap();
        let file = ImageFile::open(&path, OpenOptions::default()).unwrap();
        assert_eq!(file.header().format, "MetaImage");
    }
    let other = MetaImage::default().with("ObjectType", "Tube");
    fs::write(&path, other.attached()).unwrap();
    let error = read_header(&path).unwrap_err().to_string();
    assert!(error.contains("`ObjectType` is `Tube`"), "{error}");
}
