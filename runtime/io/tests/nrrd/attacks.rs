//! Malicious headers and data: each gives a typed error, quickly and in little memory.

use std::fs;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use vesal_io::image::{
    HeaderProblem, ImageError, VoxelError, read_channels, read_label_map, read_volume,
};

use crate::nrrd_files::{Nrrd, gzip};

fn error(bytes: &[u8]) -> ImageError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attack.nrrd");
    fs::write(&path, bytes).unwrap();
    let start = Instant::now();
    let error = read_volume(&path).unwrap_err();
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    read_label_map(&path).unwrap_err();
    read_channels(&path).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("attack.nrrd") && text.len() < 1000, "{text}");
    error
}

#[test]
fn every_broken_rule_of_a_header_is_named() {
    let made = Nrrd::default;
    let four = || made().with("dimension", "4").with("sizes", "3 4 5 2");
    for (made, part) in [
        (made().without("type"), "it does not state `type`"),
        (made().without("dimension"), "it does not state `dimension`"),
        (made().without("sizes"), "it does not state `sizes`"),
        (made().without("encoding"), "it does not state `encoding`"),
        (made().with("type", "short"), "it does not state `endian`"),
        (
            made().with("endian", "middle"),
            "`endian` is `middle`, expected `little` or `big`",
        ),
        (made().with("type", "block"), "`type` is `block`"),
        (made().with("type", ""), "it does not state `type`"),
        (made().with("dimension", "0"), "`dimension` is `0`"),
        (made().with("dimension", "17"), "`dimension` is `17`"),
        (made().with("dimension", "three"), "`dimension` is `three`"),
        (
            made().with("dimension", "4"),
            "`sizes` has 3 entries, expected 4",
        ),
        (
            made().with("sizes", "3 0 5"),
            "`sizes` is `0`, expected a whole number from 1",
        ),
        (made().with("sizes", "3 -4 5"), "`sizes` is `-4`"),
        (made().with("sizes", "3 4.0 5"), "`sizes` is `4.0`"),
        (
            made().with("sizes", "99999999999999999999 1 1"),
            "`sizes` is",
        ),
        (
            made().with("sizes", "4000000000 4000000000 4000000000"),
            "more bytes than a 64-bit file",
        ),
        (
            made().with("encoding", "bzip2"),
            "its encoding is bzip2, expected raw, gzip or text",
        ),
        (made().with("encoding", "hex"), "its encoding is hex"),
        (made().with("encoding", "zstd"), "`encoding` is `zstd`"),
        (
            made().with("space", "scanner-xyz"),
            "its space is `scanner-xyz`, expected",
        ),
        (
            made().with("space", "3D-right-handed"),
            "its space is `3D-right-handed`",
        ),
        (
            made().with("space", "left-posterior-superior-time"),
            "its space is `left-posterior-superior-time`",
        ),
        (
            made().without("space").with("space dimension", "3"),
            "its space is not stated",
        ),
        (
            made().with("space directions", "(1,0,0) (0,1,0)"),
            "`space directions` has 2 entries, expected 3",
        ),
        (
            made().with("space directions", "(1,0,0) (0,1,0) none"),
            "2 of its 3 axes are spatial, expected 3",
        ),
        (
            made().with("space directions", "(1,0) (0,1,0) (0,0,1)"),
            "`space directions` is `(1,0)`, expected three numbers",
        ),
        (
            made().with("space directions", "(1,0,0) (0,1,0) (0,0,one)"),
            "`space directions` is `(0,0,one)`",
        ),
        (
            made().with("space directions", "(1,0,0) (0,1,0) (0,2,0)"),
            "its affine (from space directions) is unusable: it maps the grid",
        ),
        (
            made().with("space directions", "(1,0,0) (0,1,0) (0,0,0)"),
            "it maps the grid onto a plane",
        ),
        (
            made().with("space directions", "(1,0,0) (0,1,0) (0,0,nan)"),
            "an entry is not a finite number",
        ),
        (
            made().with("space directions", "(1,0,0) (0,1,0) (0,0,1e-9)"),
            "the length of a voxel is",
        ),
        (
            made().with("space origin", "(1e9,0,0)"),
            "an entry of it is -1000000000 mm",
        ),
        (
            made().with("space origin", "1,2,3"),
            "`space origin` is `1,2,3`",
        ),
        (
            made().with("space units", "mm mm"),
            "`space units` has 2 entries",
        ),
        (
            made().with("space units", "mm mm furlong"),
            "`space units` is `furlong`",
        ),
        (
            made().with("kinds", "domain domain"),
            "`kinds` has 2 entries",
        ),
        (
            made().with("kinds", "domain domain what"),
            "`kinds` is `what`",
        ),
        (
            made().with("kinds", "RGB-color domain domain"),
            "its voxel is of kind `RGB-color`, expected scalars",
        ),
        (
            made().with("kinds", "complex domain domain"),
            "its voxel is of kind `complex`",
        ),
        (
            made()
                .without("space directions")
                .with("spacings", "1 -1 1"),
            "`spacings` is `-1`",
        ),
        (
            made()
                .without("space directions")
                .with("spacings", "1 inf 1"),
            "its affine (from spacings) is unusable",
        ),
        (
            made()
                .without("space directions")
                .with("kinds", "list domain domain"),
            "2 of its 3 axes are spatial",
        ),
        (
            four().without("space directions").without("kinds"),
            "it does not state which of its 4 axes are spatial",
        ),
        (
            four()
                .without("kinds")
                .with("sizes", "3 4 2 5")
                .with("space directions", "(1,0,0) (0,1,0) none (0,0,1)"),
            "axis 2 with 2 entries is between the spatial axes",
        ),
        (
            made()
                .without("kinds")
                .with("dimension", "5")
                .with("sizes", "2 3 4 5 2")
                .with("space directions", "none (1,0,0) (0,1,0) (0,0,1) none"),
            "2 axes besides the spatial ones have several entries",
        ),
        (made().with("line skip", "-1"), "`line skip` is `-1`"),
        (made().with("byte skip", "-2"), "`byte skip` is `-2`"),
        (made().with("byte skip", "many"), "`byte skip` is `many`"),
        (
            made().with("foo", "1"),
            "line 11 states `foo`, which is not a field of the format",
        ),
        (made().with("Type", "float"), "it states `type` twice"),
    ] {
        let error = error(&made.attached());
        assert!(
            matches!(error, ImageError::Header { format: "NRRD", .. }),
            "{error}"
        );
        assert!(error.to_string().contains(part), "{error}\nexpected {part}");
    }
    let magic = Nrrd {
        magic: "NRRD0007",
        ..made()
    };
    let text = error(&magic.attached());
    assert!(
        text.to_string()
            .contains("does not begin with `NRRD0001` to `NRRD0006`"),
        "{text}"
    );
    assert_eq!(text.header_problem(), Some(HeaderProblem::OtherFormat));
    for bytes in [
        &b""[..],
        b"\n",
        b"NRRD",
        b"no image at all",
        &gzip(&made().attached()),
    ] {
        assert_eq!(
            error(bytes).header_problem(),
            Some(HeaderProblem::OtherFormat)
        );
    }
    let line = [made().header().as_bytes(), b"nonsense\n\n", &made().data].concat();
    assert!(error(&line).to_string().contains("line 11 is none of"));
}

#[test]
fn headers_that_do_not_end_are_not_held() {
    let mut bytes = Nrrd::default().header().into_bytes();
    bytes.extend(b"content: ");
    bytes.resize(32 << 20, b'x');
    let long = error(&bytes);
    assert!(
        long.to_string()
            .contains("goes on for more than 1048576 bytes"),
        "{long}"
    );
    let mut many = Nrrd::default().header().into_bytes();
    many.extend(b"a:=b\n".repeat(1 << 20));
    assert!(
        error(&many)
            .to_string()
            .contains("goes on for more than 1048576 bytes")
    );
}

#[test]
fn data_files_stay_within_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), [7; 60]).unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let absolute = folder.path().join("secret").display().to_string();
    let list = format!("LIST 3\n{absolute}");
    for name in [
        "../secret",
        "x/../../secret",
        &absolute,
        "..\\secret",
        &list,
        "../s%d 1 1 1 3",
    ] {
        let path = inner.join("a.nhdr");
        fs::write(&path, Nrrd::default().with("data file", name).header()).unwrap();
        let error = read_volume(&path).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("does not lie within the header's folder"),
            "{error}"
        );
        assert!(error.hint().is_some());
    }
    // Nor may they be anything but files.
    fs::write(
        inner.join("a.nhdr"),
        Nrrd::default().with("data file", ".").header(),
    )
    .unwrap();
    let error = read_volume(inner.join("a.nhdr")).unwrap_err();
    assert!(matches!(error, ImageError::NotAFile { .. }), "{error}");
}

#[test]
fn voxels_that_are_not_there_take_no_memory() {
    let large = |size: &str| Nrrd::default().with("sizes", size);
    let reason = |made: Nrrd| match error(&made.attached()) {
        ImageError::Voxels { reason, .. } => reason,
        other => panic!("{other}"),
    };
    for made in [
        large("30000 30000 30000"),
        large("30000 30000 30000").gzip(),
    ] {
        assert!(matches!(reason(made), VoxelError::TooLarge { .. }));
    }
    let expected = 8_000_000_000;
    assert_eq!(
        reason(large("2000 2000 2000")),
        VoxelError::Truncated {
            found: 60,
            expected
        }
    );
    assert!(matches!(
        reason(large("2000 2000 2000").gzip()),
        VoxelError::Implausible { .. }
    ));
    assert!(matches!(
        reason(large("2000 2000 2000").with("encoding", "text")),
        VoxelError::Truncated { .. }
    ));
    // Zeros that compress a thousandfold, and are still too few.
    let bomb = large("400 400 400").data(vec![0; 32 << 20]).gzip();
    assert!(matches!(
        reason(bomb),
        VoxelError::Implausible { .. } | VoxelError::Truncated { .. }
    ));
    // Bytes before the voxels are none of them.
    let skipped = large("3 4 5").with("byte skip", "1000000000").gzip();
    assert!(matches!(reason(skipped), VoxelError::Implausible { .. }));
}

#[test]
fn damaged_data_are_errors() {
    let made = Nrrd::default;
    let text = |data: &str| made().with("encoding", "text").data(data);
    let sixty = "1 ".repeat(59);
    for (made, part) in [
        (
            made().data(vec![0; 59]),
            "it ends after 59 of 60 voxel bytes",
        ),
        (
            made().data(vec![0; 60 + (1 << 20) + 1]),
            "it goes on for more than 1048576 bytes",
        ),
        (made().with("encoding", "gzip"), "is damaged"),
        (text(&sixty), "it ends after 59 of 60 voxel bytes"),
        (text("1 1"), "it ends after 2 of 60 voxel bytes"),
        (
            text(&format!("{sixty}1x")),
            "its voxel 59 is not a number of type uint8",
        ),
        (
            text(&format!("256 {sixty}")),
            "its voxel 0 is not a number of type uint8",
        ),
        (
            text(&format!("-1 {sixty}")),
            "its voxel 0 is not a number of type uint8",
        ),
        (
            text(&format!("{}{sixty}", "9".repeat(100_000))),
            "its voxel 0 is not a number",
        ),
        (
            text(&format!("{sixty}1 {}", " ".repeat((1 << 20) + 1))),
            "it goes on for more than",
        ),
    ] {
        let error = error(&made.attached());
        assert!(error.to_string().contains(part), "{error}\nexpected {part}");
    }
    let mut cut = made().gzip();
    cut.data.truncate(cut.data.len() - 9);
    let found = error(&cut.attached());
    assert_eq!(
        found.hint(),
        Some("copy or export the file again: it is incomplete or damaged")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_change_of_a_file_panics(at in 0_usize..400, byte in any::<u8>(), cut in 0_usize..400, gzipped in any::<bool>()) {
        let made = if gzipped { Nrrd::default().gzip() } else { Nrrd::default() };
        let mut bytes = made.attached();
        let length = bytes.len();
        bytes[at % length] = byte;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.nrrd");
        for bytes in [&bytes[..], &bytes[..cut % length]] {
            fs::write(&path, bytes).unwrap();
            let _ = (read_channels(&path), read_label_map(&path));
        }
    }
}
