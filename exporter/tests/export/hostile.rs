//! Malicious checkpoints: false sizes, truncation, code.

use std::fs;
use std::path::PathBuf;

use crate::support::checkpoint::{
    Layout, Pickled, archive, call, contiguous, dict, float, global, int, ints, pickle, tensor,
    text, tuple, view, write,
};
use crate::support::{self, config, network, tensors};
use burn::tensor::TensorData;
use tempfile::TempDir;
use vesal_exporter::import::{ArchiveError, Checkpoint, CheckpointError, PickleError};
use vesal_exporter::lower;
use vesal_exporter::weights::{self, WeightsError};
use vesal_network::ArchitectureError;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.pt");
    (directory, path)
}

fn read_pickle(bytes: &[u8], storages: &[(&str, usize)]) -> Result<Checkpoint, CheckpointError> {
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
fn state_dicts_under_other_keys_are_found_or_named() {
    let state = || dict(&[("_orig_mod.a", tensor("FloatStorage", "0", 0, &[1], &[1]))]);
    let optimizer = || dict(&[("lr", float(0.1))]);
    for key in ["network", "student", "model_state_dict"] {
        let object = dict(&[
            (key, state()),
            ("optimizer", optimizer()),
            ("epoch", int(1)),
        ]);
        let found = read_pickle(&pickle(object), &[("0", 4)]).unwrap();
        assert!(found.tensors.keys().eq(["a"]), "{key}");
    }
    let object = dict(&[("student", state()), ("teacher", state())]);
    let error = read_pickle(&pickle(object), &[("0", 4)]).unwrap_err();
    assert!(
        error.to_string().contains("`student`, `teacher`"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("state_dict"), "{error}");
    let object = dict(&[("optimizer", optimizer()), ("epoch", int(1))]);
    let error = read_pickle(&pickle(object), &[]).unwrap_err();
    assert!(
        error.to_string().contains("found `optimizer`, `epoch`"),
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

#[test]
fn state_dicts_are_found_in_every_form() {
    let state = |prefix: &str| {
        let view = tensor("FloatStorage", "0", 0, &[2], &[1]);
        let counter = tensor("LongStorage", "1", 0, &[1], &[1]);
        let named = [
            (format!("{prefix}a.weight"), view),
            (format!("{prefix}a.num_batches_tracked"), counter.clone()),
            (format!("{prefix}b.relative_position_index"), counter),
        ];
        let named = named
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()));
        dict(&named.collect::<Vec<_>>())
    };
    for object in [
        state(""),
        state("module."),
        dict(&[
            ("state_dict", state("")),
            ("epoch", int(3)),
            ("optimizer", dict(&[])),
        ]),
        dict(&[("state_dict", state("module."))]),
        dict(&[("model", state(""))]),
    ] {
        let checkpoint = read_pickle(&pickle(object), &[("0", 8), ("1", 8)]).unwrap();
        assert!(checkpoint.tensors.keys().eq(["a.weight"]));
        assert_eq!(
            checkpoint.tensors["a.weight"].as_slice::<f32>().unwrap(),
            [0., 0.]
        );
    }
    // Integers of any other name are not weights.
    let index = dict(&[("index", tensor("LongStorage", "1", 0, &[1], &[1]))]);
    let error = read_pickle(&pickle(index), &[("1", 8)]).unwrap_err();
    assert!(matches!(error, CheckpointError::Type { .. }), "{error}");
}

#[test]
fn layout_and_prefix_do_not_matter() {
    let config = config(&[1, 2], [2, 3], None);
    let tensors = tensors(&config, 11);
    let expected = lower::to_onnx(&network(&config, 11), &config, [8; 3]).unwrap();
    for (prefix, layout) in [
        ("", Layout::Contiguous),
        ("", Layout::ChannelsLast),
        ("module.", Layout::ChannelsLast),
    ] {
        let (_directory, path) = place();
        write(
            &path,
            &tensors,
            prefix,
            layout,
            &[("epoch", int(7)), ("best_metric", float(0.875))],
        );
        let checkpoint = Checkpoint::read(&path).unwrap();
        assert_eq!(
            (checkpoint.epoch, checkpoint.best_metric),
            (Some(7), Some(0.875))
        );
        assert!(checkpoint.config.is_none());
        let network =
            weights::load::<burn_flex::Flex>(&config, checkpoint.tensors, &Default::default())
                .unwrap();
        assert_eq!(lower::to_onnx(&network, &config, [8; 3]).unwrap(), expected);
    }
}

#[test]
fn numpy_scores_are_read() {
    let kind = call(
        global("numpy", "dtype"),
        &[text("f8"), vec![0x89], vec![0x88]],
    );
    let bytes = [vec![b'C', 8], 0.75_f64.to_le_bytes().to_vec()].concat();
    let score = call(global("numpy._core.multiarray", "scalar"), &[kind, bytes]);
    let state = dict(&[("w", tensor("HalfStorage", "0", 0, &[2], &contiguous(&[2])))]);
    let checkpoint = read_pickle(
        &pickle(dict(&[("model", state), ("best_metric", score)])),
        &[("0", 4)],
    )
    .unwrap();
    assert_eq!(checkpoint.best_metric, Some(0.75));
    assert_eq!(checkpoint.tensors["w"].as_slice::<f32>().unwrap(), [0., 0.]);
}

#[test]
fn weights_must_be_exactly_those_of_the_network() {
    let config = config(&[1, 1], [1, 2], None);
    let intact = tensors(&config, 1);
    let load = |tensors| {
        weights::load::<burn_flex::Flex>(&config, tensors, &Default::default()).unwrap_err()
    };
    let name = "up_layers.0.blocks.0.norm2.bias";

    let mut fewer = intact.clone();
    fewer.remove(name);
    assert!(matches!(
        load(fewer),
        WeightsError::Architecture(ArchitectureError::Missing { tensor, .. }) if tensor == name
    ));
    let mut more = intact.clone();
    more.insert("running_mean".into(), TensorData::new(vec![0_f32], [1]));
    assert!(
        matches!(load(more), WeightsError::Unused { count: 1, names } if names == ["running_mean"])
    );
    let mut other = intact.clone();
    other.insert(name.into(), TensorData::new(vec![0_f32; 5], [5]));
    assert!(matches!(
        load(other),
        WeightsError::Architecture(ArchitectureError::Shape { found, .. }) if found == [5]
    ));
    let mut infinite = intact.clone();
    infinite.insert(
        name.into(),
        TensorData::new(vec![0_f32, 0., f32::NAN, 0.], [4]),
    );
    assert!(matches!(load(infinite), WeightsError::NotFinite { tensor } if tensor == name));
    let deeper = support::config(&[1, 1, 1], [1, 2], None);
    let error = weights::load::<burn_flex::Flex>(&deeper, intact, &Default::default()).unwrap_err();
    assert!(
        matches!(
            error,
            WeightsError::Architecture(ArchitectureError::Contradiction { .. })
        ),
        "{error}"
    );
}
