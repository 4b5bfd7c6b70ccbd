//! Files whose voxels contradict a correct header: each gives a typed error, quickly and in little memory.

use std::time::{Duration, Instant};

use crate::synthetic::{Fields, gzip, save};
use vesal_io::image::{
    ImageError, ImageFile, OpenOptions, ReadLimits, TRAILING_BYTES_MAX, VoxelError, read_header,
    read_label_map, read_volume,
};

/// The rule of the voxels that a file of these bytes breaks, found without delay.
fn voxel_error(name: &str, bytes: &[u8]) -> VoxelError {
    let directory = tempfile::tempdir().unwrap();
    let path = save(directory.path(), name, bytes);
    let start = Instant::now();
    let error = read_volume(&path).unwrap_err();
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    read_label_map(&path).unwrap_err();
    match error {
        ImageError::Voxels { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn attack_huge_dimensions_without_voxels() {
    // 35 TB in a file of 352 bytes.
    let fields = Fields {
        dim: vec![3, 32_767, 32_767, 32_767],
        ..Fields::default()
    };
    for bytes in [fields.single(&[]), gzip(&fields.single(&[]))] {
        assert!(matches!(
            voxel_error("a.nii", &bytes),
            VoxelError::TooLarge { .. }
        ));
    }
    // 8 GB, which the limit allows.
    let fields = Fields {
        dim: vec![3, 2000, 2000, 2000],
        ..Fields::default()
    };
    let plain = voxel_error("a.nii", &fields.single(&[0; 9]));
    assert_eq!(
        plain,
        VoxelError::Truncated {
            found: 9,
            expected: 8_000_000_000
        }
    );
    let compressed = voxel_error("a.nii.gz", &gzip(&fields.single(&[0; 9])));
    assert!(
        matches!(compressed, VoxelError::Implausible { .. }),
        "{compressed}"
    );
    // 40 MB, which the compressed length allows.
    let fields = Fields {
        dim: vec![3, 400, 400, 250],
        ..Fields::default()
    };
    let mut bytes = fields.single(&[0; 9]);
    bytes.extend((0..60_000_u32).flat_map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()));
    let compressed = voxel_error("a.nii.gz", &gzip(&bytes));
    assert_eq!(
        compressed,
        VoxelError::Truncated {
            found: 240_009,
            expected: 40_000_000
        }
    );
}

#[test]
fn attack_dimensions_that_only_the_first_block_backs() {
    // 100 MB by the header, of which 8.4 are there, and their end is seen before memory is taken for the rest.
    let fields = Fields {
        dim: vec![3, 512, 512, 400],
        ..Fields::default()
    };
    let whole = fields.single(&vec![3; 32 << 18]);
    let mut state = 1_u64;
    let noise = (0..200_000).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    });
    let noise: Vec<u8> = noise.collect();
    // Noise in front makes the file long enough for its header at first sight.
    let bytes = [&whole[..352], &noise, &whole[352 + noise.len()..]].concat();
    assert!(matches!(
        voxel_error("a.nii.gz", &gzip(&bytes)),
        VoxelError::Implausible { .. }
    ));
    // A file that is truncated late is reported as truncated.
    let fields = Fields {
        dim: vec![3, 512, 512, 70],
        ..Fields::default()
    };
    let bytes = fields.single(&vec![3; 66 << 18]);
    let cut = voxel_error("a.nii.gz", &gzip(&bytes));
    assert_eq!(
        cut,
        VoxelError::Truncated {
            found: 66 << 18,
            expected: 70 << 18
        }
    );
}

#[test]
fn attack_limit_is_the_callers() {
    let directory = tempfile::tempdir().unwrap();
    let path = save(
        directory.path(),
        "a.nii",
        &Fields::default().single(&[0; 60]),
    );
    let read_within = |max_voxel_bytes| {
        let file = ImageFile::open(&path, OpenOptions::default()).unwrap();
        file.volume(&ReadLimits { max_voxel_bytes })
    };
    // 60 voxels are 240 bytes as f32, and 412 bytes of file.
    read_within(412).unwrap();
    let error = read_within(411).unwrap_err();
    let ImageError::Voxels { reason, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(
        reason,
        VoxelError::TooLarge {
            needed: 412,
            limit: 411
        }
    );
}

#[test]
fn attack_voxel_offset_past_the_end() {
    let fields = Fields {
        voxel_offset: 1e9,
        ..Fields::default()
    };
    let bytes = fields.header();
    assert_eq!(
        voxel_error("a.nii", &bytes),
        VoxelError::Truncated {
            found: 0,
            expected: 60
        }
    );
    let error = voxel_error("a.nii.gz", &gzip(&bytes));
    assert!(matches!(error, VoxelError::Implausible { .. }), "{error}");
    let fields = Fields {
        voxel_offset: 1000.0,
        ..Fields::default()
    };
    let error = voxel_error("a.nii.gz", &gzip(&fields.header()));
    assert_eq!(
        error,
        VoxelError::Truncated {
            found: 0,
            expected: 60
        }
    );
}

#[test]
fn attack_truncated_voxels() {
    let bytes = Fields::default().single(&[1; 59]);
    let expected = VoxelError::Truncated {
        found: 59,
        expected: 60,
    };
    assert_eq!(voxel_error("a.nii", &bytes), expected);
    assert_eq!(voxel_error("a.nii.gz", &gzip(&bytes)), expected);
}

#[test]
fn attack_gzip_cut_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let voxels: Vec<u8> = (0..60_u32)
        .map(|index| ((index * 7919) >> 3) as u8)
        .collect();
    let whole = gzip(&Fields::default().single(&voxels));
    for length in 0..whole.len() {
        let path = save(directory.path(), "cut.nii.gz", &whole[..length]);
        let error = read_volume(path).unwrap_err();
        assert!(error.to_string().contains("cut.nii.gz"), "{error}");
    }
    read_volume(save(directory.path(), "cut.nii.gz", &whole)).unwrap();
}

#[test]
fn attack_gzip_with_a_wrong_checksum() {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = gzip(&Fields::default().single(&[5; 60]));
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    let error = read_volume(save(directory.path(), "a.nii.gz", &bytes)).unwrap_err();
    assert!(matches!(error, ImageError::Compression { .. }), "{error}");
}

#[test]
fn attack_files_that_go_on() {
    let mut bytes = Fields::default().single(&[1; 60]);
    let directory = tempfile::tempdir().unwrap();
    bytes.resize(bytes.len() + TRAILING_BYTES_MAX as usize, 0);
    read_volume(save(directory.path(), "a.nii", &bytes)).unwrap();
    read_volume(save(directory.path(), "a.nii.gz", &gzip(&bytes))).unwrap();
    bytes.push(0);
    let expected = VoxelError::TooLong {
        expected: 60,
        allowed: TRAILING_BYTES_MAX,
    };
    assert_eq!(voxel_error("b.nii", &bytes), expected);
    assert_eq!(voxel_error("b.nii.gz", &gzip(&bytes)), expected);
}

#[test]
fn attack_gzip_bomb_behind_the_voxels() {
    // 512 MB of zeros behind 60 voxels: the reader stops after the bytes that it lets pass.
    let mut bytes = gzip(&Fields::default().single(&[1; 60]));
    let zeros = gzip(&vec![0; 1 << 24]);
    for _ in 0..32 {
        bytes.extend(&zeros);
    }
    assert!(matches!(
        voxel_error("bomb.nii.gz", &bytes),
        VoxelError::TooLong { .. }
    ));
}

#[test]
fn attack_paths_that_are_no_files() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(
        read_volume(directory.path()),
        Err(ImageError::NotAFile { .. })
    ));
    assert!(matches!(
        read_volume("/dev/zero"),
        Err(ImageError::NotAFile { .. })
    ));
    assert!(matches!(
        read_volume(directory.path().join("absent.nii")),
        Err(ImageError::Io { .. })
    ));
    assert!(matches!(read_volume(""), Err(ImageError::Io { .. })));
}

#[test]
fn attack_half_a_pair() {
    let directory = tempfile::tempdir().unwrap();
    let pair = Fields {
        pair: true,
        voxel_offset: 0.0,
        ..Fields::default()
    };
    let header = save(directory.path(), "a.hdr", &pair.header());
    let image = save(directory.path(), "b.img", &[0; 60]);
    for path in [header.as_path(), image.as_path()] {
        let error = read_volume(path).unwrap_err();
        let ImageError::HalfMissing { looked_for, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(looked_for.len(), 2);
    }
    read_header(&header).unwrap();
    assert!(matches!(
        read_header(directory.path().join("c.img")),
        Err(ImageError::Io { .. })
    ));
}
