//! Malicious archives of checkpoints: false sizes, damage, files of other kinds.

use std::fs;

use crate::hostile::{place, read_pickle};
use crate::support::checkpoint::{Layout, Pickled, dict, int, pickle, tensor, view, write};
use crate::support::{config, tensors};
use vesal_exporter::import::{ArchiveError, Checkpoint, CheckpointError};
use vesal_exporter::weights;

#[test]
fn storages_are_read_once_for_all_their_views() {
    let state = |views: &[(String, Pickled)]| {
        let views = views
            .iter()
            .map(|(name, view)| (name.as_str(), view.clone()));
        pickle(dict(&views.collect::<Vec<_>>()))
    };
    let halves = |key: &str, elements| {
        [0, 2].map(|offset| {
            let half = view("FloatStorage", key, elements, offset, &[2], &[1]);
            (format!("{key}.{offset}"), half)
        })
    };
    let views = [halves("0", 4), halves("1", 4)].concat();
    let found = read_pickle(&state(&views), &[("0", 16), ("1", 16)]).unwrap();
    assert_eq!(found.tensors.len(), 4);
    // Many names of one tensor would take many times the memory of the file.
    let whole = tensor("FloatStorage", "0", 0, &[1 << 20], &[1]);
    let named: Vec<_> = (0..64)
        .map(|index| (format!("w{index}"), whole.clone()))
        .collect();
    assert!(read_pickle(&state(&named[..4]), &[("0", 4 << 20)]).is_ok());
    let error = read_pickle(&state(&named), &[("0", 4 << 20)]).unwrap_err();
    assert!(
        matches!(error, CheckpointError::Shared { elements } if elements == 1 << 20),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("clone"), "{error}");
    // A storage has the bytes that the pickle states, and all of its tensors state the same.
    for (bytes, elements) in [(15, 4), (20, 4), (16, 3), (16, 1 << 30)] {
        let error = read_pickle(&state(&halves("0", elements)), &[("0", bytes)]).unwrap_err();
        assert!(
            matches!(error, CheckpointError::StorageSize { bytes: 4, .. }),
            "{error}"
        );
    }
    let two = [halves("0", 4)[0].clone(), halves("0", 5)[1].clone()];
    let error = read_pickle(&state(&two), &[("0", 16)]).unwrap_err();
    assert!(
        matches!(error, CheckpointError::StorageType { .. }),
        "{error}"
    );
}

#[test]
fn files_that_are_no_checkpoints_say_so() {
    let (_directory, path) = place();
    let error = Checkpoint::read(&path).unwrap_err();
    assert!(
        matches!(error, CheckpointError::Archive(ArchiveError::Read(_))),
        "{error}"
    );
    for bytes in [
        &b""[..],
        b"\x80\x02}.",
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
        &[0; 4096],
        b"PK\x05\x06 not quite",
    ] {
        fs::write(&path, bytes).unwrap();
        let error = Checkpoint::read(&path).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Archive(ArchiveError::Zip(_))),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("torch.save"));
    }
    // Endless files are not opened.
    #[cfg(unix)]
    {
        let error = Checkpoint::read("/dev/zero".as_ref()).unwrap_err();
        assert!(
            matches!(&error, CheckpointError::Archive(ArchiveError::Read(why)) if why.to_string() == "it is not a regular file"),
            "{error}"
        );
    }
    let error = read_pickle(&pickle(int(1)), &[]).unwrap_err();
    assert!(
        matches!(error, CheckpointError::NoStateDict { .. }),
        "{error}"
    );
    let error = read_pickle(
        &pickle(dict(&[("state_dict", dict(&[("w", int(1))]))])),
        &[],
    )
    .unwrap_err();
    assert!(
        matches!(error, CheckpointError::NoStateDict { .. }),
        "{error}"
    );
}

#[test]
fn no_damage_to_a_checkpoint_makes_it_panic() {
    let (_directory, path) = place();
    let config = config(&[1], [1, 2], None);
    write(
        &path,
        &tensors(&config, 3),
        "",
        Layout::Contiguous,
        &[("epoch", int(3))],
    );
    let intact = fs::read(&path).unwrap();
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for round in 0..1500 {
        let mut bytes = intact.clone();
        if round % 5 == 0 {
            bytes.truncate(random(intact.len()));
        }
        for _ in 0..1 + random(4) {
            if !bytes.is_empty() {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
        }
        fs::write(&path, &bytes).unwrap();
        if let Ok(checkpoint) = Checkpoint::read(&path) {
            let _ =
                weights::load::<burn_flex::Flex>(&config, checkpoint.tensors, &Default::default());
        }
    }
}
