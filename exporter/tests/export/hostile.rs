//! Malicious pickles of checkpoints: code, false sizes, too many objects.

use std::path::PathBuf;

use crate::support::checkpoint::{
    archive, call, dict, global, int, ints, pickle, tensor, text, tuple, view,
};
use tempfile::TempDir;
use vesal_exporter::import::{ArchiveError, Checkpoint, CheckpointError, PickleError};

/// A folder, and the path of a checkpoint in it.
pub fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.pt");
    (directory, path)
}

/// Reads a checkpoint with this pickle, and storages of these keys and sizes.
pub fn read_pickle(
    bytes: &[u8],
    storages: &[(&str, usize)],
) -> Result<Checkpoint, CheckpointError> {
    let (_directory, path) = place();
    let storages: Vec<_> = storages
        .iter()
        .map(|(key, size)| (key.to_string(), vec![0; *size]))
        .collect();
    archive(&path, bytes, &storages);
    Checkpoint::read(&path)
}

#[test]
fn code_is_named_and_not_run() {
    let (_directory, path) = place();
    let marker = path.with_extension("ran");
    let command = text(&format!("touch {}", marker.display()));
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch.serialization", "_get_layout"),
    ] {
        let object = dict(&[(
            "state_dict",
            call(global(module, name), std::slice::from_ref(&command)),
        )]);
        match read_pickle(&pickle(object), &[]) {
            Err(CheckpointError::Pickle(PickleError::Forbidden { global, .. })) => {
                assert_eq!(global, format!("{module}.{name}"));
            }
            other => panic!("{module}.{name}: {other:?}"),
        }
    }
    assert!(!marker.exists());
}

#[test]
fn code_behind_other_operations_is_refused_too() {
    let stack_global = [text("os"), text("system"), vec![0x93]].concat();
    let error = read_pickle(&pickle(stack_global), &[]).unwrap_err();
    assert!(
        matches!(
            error,
            CheckpointError::Pickle(PickleError::Forbidden { .. })
        ),
        "{error}"
    );
    // INST, OBJ, NEWOBJ, NEWOBJ_EX, EXT1, PERSID, protocol 0 integers
    for opcode in [b'i', b'o', 0x81, 0x92, 0x82, b'P', b'I'] {
        let error = read_pickle(&pickle(vec![b'}', b')', opcode, 0, 0]), &[]).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Pickle(PickleError::Opcode { opcode: found, .. }) if found == opcode),
            "{error}"
        );
    }
}

#[test]
fn little_in_the_file_does_not_become_much_in_memory() {
    // Lists, dictionaries and numbers of a few bytes each, in the memo or not.
    let million = |operations: &[u8]| operations.repeat((8 << 20) / operations.len());
    for operations in [
        &b"]"[..],
        b"}\x94",
        b"N",
        b"K\x01",
        b"J\x01\x02\x03\x04\x94",
        b"]2a",
    ] {
        let bytes = pickle(million(operations));
        match read_pickle(&bytes, &[]) {
            Err(CheckpointError::Pickle(PickleError::Inflated {
                bytes: found, most, ..
            })) => {
                assert_eq!(found, bytes.len());
                assert_eq!(most, (16 << 20) + 4 * found);
            }
            other => panic!("{operations:?}: {other:?}"),
        }
    }
    // A tensor of eight axes, made repeatedly from the memo and dropped, in six bytes each.
    let storage = [
        tuple(&[
            text("storage"),
            global("torch", "FloatStorage"),
            text(&"0".repeat(64)),
            text("cpu"),
            int(1),
        ]),
        b"Q".to_vec(),
    ]
    .concat();
    let arguments = tuple(&[storage, int(0), ints(&[1; 8]), ints(&[1; 8])]);
    let function = global("torch._utils", "_rebuild_tensor_v2");
    let stored = [function, b"q\x000".to_vec(), arguments, b"q\x010".to_vec()].concat();
    // They take 350 bytes each, more than half of it on the heap.
    for count in [60_000, 1 << 20] {
        let tensors = b"h\x00h\x01R0".repeat(count);
        let bytes = pickle([stored.clone(), tensors, b"}".to_vec()].concat());
        let read = read_pickle(&bytes, &[]);
        assert!(
            matches!(
                read,
                Err(CheckpointError::Pickle(PickleError::Inflated { .. }))
            ),
            "{count}: {read:?}"
        );
    }
    // As many objects as a large network has, and texts as long as they like, are read.
    let entries: Vec<u8> = (0..20_000)
        .flat_map(|at| [text(&format!("key {at}")), int(at)].concat())
        .collect();
    let long = [text("long"), text(&"x".repeat(4 << 20))].concat();
    let state = tensor("FloatStorage", "0", 0, &[1], &[1]);
    let named = [text("state_dict"), dict(&[("a", state)])].concat();
    let object = [b"}(".to_vec(), entries, long, named, b"u".to_vec()].concat();
    assert!(read_pickle(&pickle(object), &[("0", 4)]).is_ok());
}

#[test]
fn broken_pickles_are_typed_errors() {
    let huge_text = [vec![b'X'], u32::MAX.to_le_bytes().to_vec()].concat();
    let huge_long = [vec![0x8b], u32::MAX.to_le_bytes().to_vec()].concat();
    let error = |bytes: Vec<u8>| match read_pickle(&pickle(bytes), &[]).unwrap_err() {
        CheckpointError::Pickle(error) => error,
        other => panic!("{other}"),
    };
    assert!(matches!(error(huge_text), PickleError::Truncated { .. }));
    assert!(matches!(error(huge_long), PickleError::Truncated { .. }));
    assert!(matches!(error(vec![b'R']), PickleError::Operand { .. }));
    assert!(matches!(error(vec![b't']), PickleError::Operand { .. }));
    assert!(matches!(
        error(vec![b'(', b'0']),
        PickleError::Operand { .. }
    ));
    assert!(matches!(
        error(vec![b'h', 9]),
        PickleError::Memo { index: 9, .. }
    ));
    assert!(matches!(
        error(vec![b'N', b'N', b'a']),
        PickleError::Operand { .. }
    ));
    assert!(matches!(
        error(vec![b'}', b'(', b'N', b'u']),
        PickleError::Operand { .. }
    ));
    assert!(matches!(
        error(vec![b'U', 1, 0xff]),
        PickleError::Text { .. }
    ));
    let (_directory, path) = place();
    archive(&path, &[0x80, 2, b'}'], &[]);
    let error = Checkpoint::read(&path).unwrap_err();
    assert!(
        matches!(
            error,
            CheckpointError::Pickle(PickleError::Truncated { at: 3 })
        ),
        "{error}"
    );
}

#[test]
fn tensors_stay_inside_their_storage() {
    let state = |tensor: Vec<u8>| pickle(dict(&[("state_dict", dict(&[("w", tensor)]))]));
    let float_tensor = |offset, shape: &[usize], strides: &[usize]| {
        state(view("FloatStorage", "0", 4, offset, shape, strides))
    };
    let outside: [(usize, &[usize], &[usize]); 6] = [
        (0, &[5], &[1]),
        (1, &[4], &[1]),
        (0, &[2, 2], &[1, 4]),
        (0, &[1 << 30, 1 << 30], &[0, 0]),
        (1 << 30, &[1], &[1]),
        // Four elements repeated by stride 0.
        (0, &[1_000_000], &[0]),
    ];
    for (offset, shape, strides) in outside {
        let error = read_pickle(&float_tensor(offset, shape, strides), &[("0", 16)]).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Bounds { elements: 4, .. }),
            "{shape:?}: {error}"
        );
    }
    let inside = read_pickle(&float_tensor(1, &[3], &[1]), &[("0", 16)]).unwrap();
    assert_eq!(inside.tensors["w"].shape.to_vec(), [3]);

    let error = read_pickle(&float_tensor(0, &[1], &[1]), &[]).unwrap_err();
    assert!(
        matches!(
            error,
            CheckpointError::Archive(ArchiveError::Missing { .. })
        ),
        "{error}"
    );
    let error = read_pickle(
        &state(tensor("LongStorage", "0", 0, &[1], &[1])),
        &[("0", 8)],
    )
    .unwrap_err();
    assert!(matches!(error, CheckpointError::Type { .. }), "{error}");
    let negative = call(
        global("torch._utils", "_rebuild_tensor_v2"),
        &[
            int(0),
            int(0),
            ints(&[1]),
            tuple(&[[vec![b'J'], (-1_i32).to_le_bytes().to_vec()].concat()]),
        ],
    );
    let error = read_pickle(&state(negative), &[]).unwrap_err();
    assert!(
        matches!(error, CheckpointError::Pickle(PickleError::Operand { .. })),
        "{error}"
    );
}

#[test]
fn configurations_do_not_explode() {
    // Each dictionary holds the one before twice: 2^40 values when written out.
    let mut bomb = vec![b'}', b'q', 0, b'0'];
    for level in 1..40_u8 {
        let previous = level - 1;
        bomb.extend(
            [
                vec![b'}', b'('],
                text("a"),
                vec![b'h', previous],
                text("b"),
                vec![b'h', previous],
            ]
            .concat(),
        );
        bomb.extend([b'u', b'q', level, b'0']);
    }
    bomb.extend([b'h', 39]);
    let state = dict(&[("w", tensor("FloatStorage", "0", 0, &[1], &[1]))]);
    // The other one is a list that contains itself.
    for config in [bomb, [vec![b']', b'q', 99, b'h', 99, b'a']].concat()] {
        let bytes = pickle(dict(&[("state_dict", state.clone()), ("config", config)]));
        match read_pickle(&bytes, &[("0", 4)]) {
            Err(CheckpointError::ConfigSize) => {}
            other => panic!("{other:?}"),
        }
    }
}
