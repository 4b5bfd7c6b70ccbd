//! One image in every form, compared with NIfTI.

use std::fs;
use std::path::Path;

use ndarray::{Array4, Axis};
use vesal_io::image::{ByteOrder, read_channels, read_header, read_label_map, read_volume};
use vesal_io::nifti::{WriteOptions, write_label_map, write_volume};
use vesal_volume::{Affine, LabelMap, Volume};

use crate::nrrd_files::{Nrrd, gzip};

/// Numbers that every type holds, one for each voxel, on an oblique grid whose entries text and `f32` hold exactly.
fn phantom(channels: usize) -> Volume {
    let data = Array4::from_shape_fn((channels, 3, 4, 5), |(c, x, y, z)| {
        (x + 3 * (y + 4 * (z + 5 * c))) as f32
    });
    let linear = [[0.5, 0.125, -1.0], [-0.25, 1.5, 0.5], [0.0, 0.75, 2.0]];
    let affine = Affine::from_parts(linear, [-17.5, 8.0, 129.25]);
    Volume { data, affine }
}

/// A volume written and read as NIfTI.
fn by_nifti(folder: &Path, volume: &Volume) -> Volume {
    let path = folder.join("expected.nii.gz");
    let options = WriteOptions {
        overwrite: true,
        ..WriteOptions::default()
    };
    write_volume(&path, volume, &options).unwrap();
    read_channels(path).unwrap()
}

/// The voxels in the order of a file, the first axis fastest, as bytes or as text.
fn stored(volume: &Volume, name: &str, big: bool, text: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for channel in volume.data.outer_iter() {
        for value in channel.t().iter() {
            put(&mut bytes, *value, name, big, text);
        }
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, value: f32, name: &str, big: bool, text: bool) {
    macro_rules! number {
        ($number:ty) => {{
            let value = value as $number;
            if text {
                bytes.extend(format!("{value}\n").bytes());
            } else if big {
                bytes.extend(value.to_be_bytes());
            } else {
                bytes.extend(value.to_le_bytes());
            }
        }};
    }
    match name {
        "int8" => number!(i8),
        "uint8" => number!(u8),
        "int16" => number!(i16),
        "uint16" => number!(u16),
        "int32" => number!(i32),
        "uint32" => number!(u32),
        "int64" => number!(i64),
        "uint64" => number!(u64),
        "float32" => number!(f32),
        _ => number!(f64),
    }
}

/// A field of numbers that mean what they say in RAS, in a space that negates the first `negated` of them.
fn vector(numbers: [f64; 3], signs: [f64; 3]) -> String {
    let numbers: Vec<_> = (0..3)
        .map(|axis| (numbers[axis] * signs[axis]).to_string())
        .collect();
    format!("({})", numbers.join(","))
}

/// The phantom's place in a space with these signs.
fn placed(made: Nrrd, affine: &Affine, space: &str, signs: [f64; 3]) -> Nrrd {
    let linear = affine.linear();
    let steps = [0, 1, 2].map(|column| vector([0, 1, 2].map(|row| linear[row][column]), signs));
    made.with("space", space)
        .with("space directions", &steps.join(" "))
        .with("space origin", &vector(affine.origin(), signs))
}

const LPS: (&str, [f64; 3]) = ("left-posterior-superior", [-1.0, -1.0, 1.0]);

#[test]
fn every_type_encoding_and_byte_order_reads_as_nifti() {
    let folder = tempfile::tempdir().unwrap();
    let volume = phantom(1);
    let expected = by_nifti(folder.path(), &volume);
    let path = folder.path().join("a.nrrd");
    for (name, spellings) in [
        ("int8", &["signed char", "int8", "int8_t"][..]),
        ("uint8", &["uchar", "unsigned char", "uint8", "uint8_t"]),
        (
            "int16",
            &[
                "short",
                "short int",
                "signed short",
                "signed short int",
                "int16",
                "int16_t",
            ],
        ),
        (
            "uint16",
            &[
                "ushort",
                "unsigned short",
                "unsigned short int",
                "uint16",
                "uint16_t",
            ],
        ),
        ("int32", &["int", "signed int", "int32", "int32_t"]),
        ("uint32", &["uint", "unsigned int", "uint32", "uint32_t"]),
        (
            "int64",
            &[
                "longlong",
                "long long",
                "long long int",
                "signed long long",
                "int64",
                "int64_t",
            ],
        ),
        (
            "uint64",
            &[
                "ulonglong",
                "unsigned long long",
                "unsigned long long int",
                "uint64",
                "uint64_t",
            ],
        ),
        ("float32", &["float"]),
        ("float64", &["double"]),
    ] {
        for (index, spelling) in spellings.iter().enumerate() {
            for big in [false, true] {
                let made = Nrrd::default()
                    .with("type", spelling)
                    .with("endian", if big { "big" } else { "little" });
                let made = placed(made, &volume.affine, LPS.0, LPS.1);
                let raw = made.clone().data(stored(&volume, name, big, false));
                let text = made
                    .with("encoding", ["txt", "text", "ascii"][index % 3])
                    .data(stored(&volume, name, big, true));
                for made in [raw.clone().gzip(), raw, text] {
                    fs::write(&path, made.attached()).unwrap();
                    let header = read_header(&path).unwrap();
                    assert_eq!(header.data_type.name(), name);
                    let found = read_volume(&path).unwrap();
                    assert_eq!(found.data, expected.data, "{}", made.header());
                    assert_eq!(found.affine, expected.affine);
                }
            }
        }
    }
    assert_eq!(read_header(&path).unwrap().byte_order, ByteOrder::Little);
}

#[test]
fn every_space_unit_and_line_ending_reads_as_nifti() {
    let folder = tempfile::tempdir().unwrap();
    let volume = phantom(1);
    let expected = by_nifti(folder.path(), &volume);
    let data = stored(&volume, "uint8", false, false);
    let path = folder.path().join("a.nrrd");
    let check = |bytes: Vec<u8>| {
        fs::write(&path, bytes).unwrap();
        let found = read_volume(&path).unwrap();
        assert_eq!(
            (found.data, found.affine),
            (expected.data.clone(), expected.affine)
        );
    };
    for (names, signs) in [
        (["right-anterior-superior", "RAS"], [1.0; 3]),
        (["left-anterior-superior", "las"], [-1.0, 1.0, 1.0]),
        (["Left-Posterior-Superior", "LPS"], LPS.1),
    ] {
        for name in names {
            let made = Nrrd::default().data(data.clone());
            let made = placed(made, &volume.affine, name, signs);
            check(made.attached());
            check(
                made.clone()
                    .with("space units", "\"mm\" \"mm\" \"mm\"")
                    .attached(),
            );
            let mut text = made.header().replace('\n', "\r\n").into_bytes();
            text.extend(b"\r\n");
            text.extend(&data);
            check(text);
            // Keys of programs, spellings without spaces, and fields without meaning for scalars.
            let further = "Segment0_Name:=a: b\nDWMRI_b-value:=1000\ncontent: head\nlabels: \"a\" \"b\" \"c\"\n";
            let text = made
                .header()
                .replace("space directions:", "Space Directions:")
                .replace("space origin:", "spaceorigin:");
            check([text.as_bytes(), further.as_bytes(), b"\n", &data].concat());
        }
    }
    let mut micrometers = volume.affine;
    for row in 0..3 {
        micrometers.0[row] = micrometers.0[row].map(|entry| entry * 1024.0);
    }
    let made = placed(Nrrd::default().data(data), &micrometers, "RAS", [1.0; 3]);
    fs::write(&path, made.with("space units", "um um um").attached()).unwrap();
    let found = read_volume(&path).unwrap().affine;
    assert!((found.0[0][0] - volume.affine.0[0][0] * 1.024).abs() < 1e-12);
}

#[test]
fn channels_may_come_first_or_last() {
    let folder = tempfile::tempdir().unwrap();
    let volume = phantom(2);
    let expected = by_nifti(folder.path(), &volume);
    let path = folder.path().join("a.nrrd");
    let made = |made: Nrrd| placed(made.with("dimension", "4"), &volume.affine, LPS.0, LPS.1);
    let steps = made(Nrrd::default());
    let steps = &steps
        .fields
        .iter()
        .find(|(name, _)| name == "space directions")
        .unwrap()
        .1;
    for kind in [
        "list",
        "vector",
        "time",
        "domain",
        "???",
        "covariant-vector",
    ] {
        let last = made(Nrrd::default().data(stored(&volume, "uint8", false, false)))
            .with("sizes", "3 4 5 2")
            .with("space directions", &format!("{steps} none"))
            .with("kinds", &format!("domain domain domain {kind}"));
        let by_voxel: Vec<u8> = expected
            .data
            .view()
            .permuted_axes([3, 2, 1, 0])
            .iter()
            .map(|&value| value as u8)
            .collect();
        let first = made(Nrrd::default().data(by_voxel))
            .with("sizes", "2 3 4 5")
            .with("space directions", &format!("none {steps}"))
            .with("kinds", &format!("{kind} domain domain domain"));
        for made in [last, first] {
            fs::write(&path, made.attached()).unwrap();
            let found = read_channels(&path).unwrap();
            assert_eq!(found.data, expected.data, "{}", made.header());
            assert!(found.data.is_standard_layout());
            assert_eq!(found.affine, expected.affine);
            let error = read_volume(&path).unwrap_err().to_string();
            assert!(error.contains("has 2 frames, expected one"), "{error}");
        }
    }
    // An axis of one entry is ignored, wherever it is.
    let one = Volume {
        data: volume
            .data
            .index_axis(Axis(0), 0)
            .insert_axis(Axis(0))
            .to_owned(),
        affine: volume.affine,
    };
    for (sizes, directions) in [
        ("1 3 4 5", format!("none {steps}")),
        ("3 4 5 1", format!("{steps} none")),
        (
            "3 4 1 5",
            steps
                .replacen(") (", ") @ (", 2)
                .replacen('@', "", 1)
                .replace('@', "none"),
        ),
    ] {
        let made = made(Nrrd::default().data(stored(&one, "uint8", false, false)))
            .without("kinds")
            .with("sizes", sizes)
            .with("space directions", &directions);
        fs::write(&path, made.attached()).unwrap();
        assert_eq!(read_volume(&path).unwrap().data, one.data, "{directions}");
    }
}

#[test]
fn label_maps_read_as_nifti() {
    let folder = tempfile::tempdir().unwrap();
    let volume = phantom(1);
    let data = volume
        .data
        .index_axis(Axis(0), 0)
        .mapv(|value| value as u16 * 1000);
    let map = LabelMap {
        data,
        affine: volume.affine,
    };
    let nifti = folder.path().join("a.nii.gz");
    write_label_map(&nifti, &map, &WriteOptions::default()).unwrap();
    let expected = read_label_map(&nifti).unwrap();
    let bytes: Vec<u8> = map
        .data
        .t()
        .iter()
        .flat_map(|label| label.to_be_bytes())
        .collect();
    let made = Nrrd::default()
        .with("type", "ushort")
        .with("endian", "big")
        .data(bytes);
    let made = placed(made, &volume.affine, LPS.0, LPS.1).gzip();
    let path = folder.path().join("a.seg.nrrd");
    fs::write(&path, made.attached()).unwrap();
    let found = read_label_map(&path).unwrap();
    assert_eq!((found.data, found.affine), (expected.data, expected.affine));
    let fractions = Nrrd::default()
        .with("encoding", "text")
        .with("type", "float")
        .data("0.5 ".repeat(60));
    fs::write(&path, fractions.attached()).unwrap();
    let error = read_label_map(&path).unwrap_err().to_string();
    assert!(
        error.contains("60 of 60 voxels are not whole numbers"),
        "{error}"
    );
}

#[test]
fn a_header_without_directions_states_no_orientation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nrrd");
    let bare = Nrrd::default()
        .without("space")
        .without("space directions")
        .without("space origin");
    for (made, spacing) in [
        (bare.clone(), [1.0; 3]),
        (bare.clone().without("kinds"), [1.0; 3]),
        (bare.clone().with("spacings", "0.5 nan 3"), [0.5, 1.0, 3.0]),
    ] {
        fs::write(&path, made.attached()).unwrap();
        let header = read_header(&path).unwrap();
        assert_eq!(header.no_orientation, Some("no `space directions`"));
        assert_eq!(header.affine_source, "spacings");
        let [x, y, z] = spacing;
        assert_eq!(
            header.geometry.affine,
            Affine::from_parts([[-x, 0.0, 0.0], [0.0, -y, 0.0], [0.0, 0.0, z]], [0.0; 3])
        );
    }
    fs::write(&path, Nrrd::default().attached()).unwrap();
    assert_eq!(read_header(&path).unwrap().no_orientation, None);
    // Kinds say which axis is not in space.
    let made = bare
        .with("dimension", "4")
        .with("sizes", "2 3 2 5")
        .with("kinds", "vector domain domain domain");
    fs::write(&path, made.attached()).unwrap();
    let header = read_header(&path).unwrap();
    assert_eq!((header.frames, header.geometry.shape), (2, [3, 2, 5]));
}

#[test]
fn compressed_files_may_have_several_members() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nrrd");
    let data: Vec<u8> = (0..60).collect();
    let members = [gzip(&data[..17]), gzip(&data[17..])].concat();
    let made = Nrrd::default().with("encoding", "gz").data(members);
    fs::write(&path, made.attached()).unwrap();
    let sum: f32 = data.iter().map(|&value| f32::from(value)).sum();
    assert_eq!(read_volume(&path).unwrap().data.sum(), sum);
}
