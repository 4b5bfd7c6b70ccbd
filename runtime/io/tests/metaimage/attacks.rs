//! Malicious headers and data: each gives a typed error, quickly and in little memory.

use std::fs;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use vesal_io::image::{
    HeaderProblem, ImageError, VoxelError, read_channels, read_label_map, read_volume,
};

use crate::metaimage_files::MetaImage;

fn error(bytes: &[u8]) -> ImageError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attack.mha");
    fs::write(&path, bytes).unwrap();
    let start = Instant::now();
    let error = read_volume(&path).unwrap_err();
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
    read_label_map(&path).unwrap_err();
    read_channels(&path).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("attack.mha") && text.len() < 1000, "{text}");
    error
}

#[test]
fn every_broken_rule_of_a_header_is_named() {
    let made = MetaImage::default;
    for (made, part) in [
        (made().without("NDims"), "it does not state `NDims`"),
        (made().without("DimSize"), "it does not state `DimSize`"),
        (
            made().without("ElementType"),
            "it does not state `ElementType`",
        ),
        (
            made().with("ObjectType", "Scene"),
            "`ObjectType` is `Scene`",
        ),
        (made().with("NDims", "0"), "`NDims` is `0`"),
        (made().with("NDims", "many"), "`NDims` is `many`"),
        (made().with("NDims", "2"), "it has 2 axes, expected 3, or 4"),
        (made().with("NDims", "5"), "it has 5 axes"),
        (
            made().with("NDims", "4"),
            "`DimSize` has 3 numbers, expected 4",
        ),
        (
            made().with("DimSize", "3 0 5"),
            "`DimSize` is `0`, expected whole numbers from 1",
        ),
        (made().with("DimSize", "3 -4 5"), "`DimSize` is `-4`"),
        (
            made().with("DimSize", "4000000000 4000000000 4000000000"),
            "more bytes than a 64-bit file",
        ),
        (made().with("ElementType", "MET_OTHER"), "`ElementType` is"),
        (
            made().with("ElementNumberOfChannels", "0"),
            "`ElementNumberOfChannels` is `0`",
        ),
        (
            made().with("ElementSpacing", "1 2"),
            "`ElementSpacing` has 2 numbers, expected 3",
        ),
        (
            made().with("ElementSpacing", "1 0 1"),
            "its affine is unusable: it maps the grid onto a plane",
        ),
        (
            made().with("ElementSpacing", "1 nan 1"),
            "an entry is not a finite number",
        ),
        (
            made().with("TransformMatrix", "1 0 0 0 1 0"),
            "`TransformMatrix` has 6 numbers, expected 9",
        ),
        (
            made().with("TransformMatrix", "1 0 0 0 1 0 0 0 x"),
            "`TransformMatrix` is `x`, expected numbers",
        ),
        (
            made().with("Offset", "1e9 0 0"),
            "an entry of it is -1000000000 mm",
        ),
        (
            made().with("DistanceUnits", "cm"),
            "`DistanceUnits` is `cm`, expected `mm`",
        ),
        (
            made().with("BinaryData", "maybe"),
            "`BinaryData` is `maybe`",
        ),
        (made().with("HeaderSize", "-2"), "`HeaderSize` is `-2`"),
        (
            made().with("HeaderSize", "4"),
            "`HeaderSize` is 4, which lies within the header itself",
        ),
        (
            made().with("HeaderSize", "-1").compressed(),
            "`HeaderSize` is -1 for compressed voxels",
        ),
        (made().with("Origin", "1 2 3"), "it states `Offset` twice"),
    ] {
        let error = error(&made.attached());
        let format = "MetaImage";
        assert!(
            matches!(error, ImageError::Header { format: found, .. } if found == format),
            "{error}"
        );
        assert!(error.to_string().contains(part), "{error}\nexpected {part}");
    }
    for bytes in [&b""[..], b"\n", b"no image at all", b"a = b\n"] {
        assert_eq!(
            error(bytes).header_problem(),
            Some(HeaderProblem::OtherFormat)
        );
    }
    let cut = b"ObjectType = Image\nNDims = 3\n";
    assert!(
        error(cut)
            .to_string()
            .contains("it does not state `ElementDataFile`")
    );
    let line = b"ObjectType = Image\nnonsense\n";
    assert!(
        error(line)
            .to_string()
            .contains("line 2 is no `FIELD = VALUE`")
    );
}

#[test]
fn headers_that_do_not_end_are_not_held() {
    let mut bytes = b"ObjectType = Image\nComment = ".to_vec();
    bytes.resize(32 << 20, b'x');
    let part = "goes on for more than 1048576 bytes without `ElementDataFile`";
    assert!(error(&bytes).to_string().contains(part));
    let many = [
        b"ObjectType = Image\n".as_slice(),
        &b"a = b\n".repeat(1 << 20),
    ];
    assert!(error(&many.concat()).to_string().contains(part));
}

#[test]
fn data_files_stay_within_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), [7; 60]).unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let absolute = folder.path().join("secret").display().to_string();
    let list = format!("LIST 3\n{absolute}");
    let path = inner.join("a.mhd");
    for name in [
        "../secret",
        "x/../../secret",
        &absolute,
        "..\\secret",
        &list,
        "../s%d 1 1 1 3",
    ] {
        fs::write(&path, MetaImage::default().header(name)).unwrap();
        let error = read_volume(&path).unwrap_err();
        let part = "does not lie within the header's folder";
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.hint().is_some());
    }
    // Nor may they be anything but files.
    fs::write(&path, MetaImage::default().header(".")).unwrap();
    let error = read_volume(&path).unwrap_err();
    assert!(matches!(error, ImageError::NotAFile { .. }), "{error}");
    for (name, part) in [
        ("LIST\na\nb", "it names 2 data files, expected 5"),
        ("s%d 1 99999999 1", "`ElementDataFile` is"),
        ("s%s", "`ElementDataFile` is `s%s`"),
        ("LIST 7\na", "`ElementDataFile` is `LIST 7`"),
    ] {
        fs::write(&path, MetaImage::default().header(name)).unwrap();
        let error = read_volume(&path).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn voxels_that_are_not_there_take_no_memory() {
    let large = |size: &str| MetaImage::default().with("DimSize", size);
    let reason = |made: MetaImage| match error(&made.attached()) {
        ImageError::Voxels { reason, .. } => reason,
        other => panic!("{other}"),
    };
    for made in [
        large("30000 30000 30000"),
        large("30000 30000 30000").compressed(),
    ] {
        assert!(matches!(reason(made), VoxelError::TooLarge { .. }));
    }
    let expected = 8_000_000_000;
    let found = 60;
    assert_eq!(
        reason(large("2000 2000 2000")),
        VoxelError::Truncated { found, expected }
    );
    assert!(matches!(
        reason(large("2000 2000 2000").compressed()),
        VoxelError::Implausible { .. }
    ));
    // Zeros that compress a thousandfold, and are still too few.
    let bomb = large("400 400 400").data(vec![0; 32 << 20]).compressed();
    assert!(matches!(
        reason(bomb),
        VoxelError::Implausible { .. } | VoxelError::Truncated { .. }
    ));
    let size = large("3 4 5").with("HeaderSize", "9000000000000000000");
    assert!(matches!(reason(size), VoxelError::Truncated { .. }));
}

#[test]
fn damaged_data_are_errors() {
    let made = MetaImage::default;
    for (made, part) in [
        (
            made().data(vec![0; 59]),
            "it ends after 59 of 60 voxel bytes",
        ),
        (
            made().data(vec![0; 60 + (1 << 20) + 1]),
            "it goes on for more than 1048576 bytes",
        ),
        (made().with("CompressedData", "True"), "is damaged"),
    ] {
        let error = error(&made.attached());
        assert!(error.to_string().contains(part), "{error}\nexpected {part}");
    }
    let mut cut = made().compressed();
    cut.data.truncate(cut.data.len() / 2);
    error(&cut.attached());
    let mut flipped = made().compressed();
    let last = flipped.data.len() - 1;
    flipped.data[last] ^= 1;
    error(&flipped.attached());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_change_of_a_file_panics(at in 0_usize..400, byte in any::<u8>(), cut in 0_usize..400, compressed in any::<bool>()) {
        let made = if compressed { MetaImage::default().compressed() } else { MetaImage::default() };
        let mut bytes = made.attached();
        let length = bytes.len();
        bytes[at % length] = byte;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mha");
        for bytes in [&bytes[..], &bytes[..cut % length]] {
            fs::write(&path, bytes).unwrap();
            let _ = (read_channels(&path), read_label_map(&path));
        }
    }
}
