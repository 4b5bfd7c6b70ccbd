//! Where checkpoints have their weights, and whether these are a network's.

use crate::hostile::{place, read_pickle};
use crate::support::checkpoint::{
    Layout, Pickled, call, contiguous, dict, float, global, int, pickle, tensor, text, write,
};
use crate::support::{self, config, network, tensors};
use burn::tensor::TensorData;
use vesal_exporter::import::{Checkpoint, CheckpointError};
use vesal_exporter::lower;
use vesal_exporter::weights::{self, WeightsError};
use vesal_network::ArchitectureError;

#[test]
fn of_several_state_dicts_of_one_network_the_first_agreed_one_is_taken() {
    let state =
        |key: &str, size: usize| dict(&[("a", tensor("FloatStorage", key, 0, &[size], &[1]))]);
    let storages = [("0", 4), ("1", 8)];
    let read = |entries: &[(&str, Pickled)]| read_pickle(&pickle(dict(entries)), &storages);
    // In any order in the file.
    for entries in [
        [("model", state("0", 1)), ("state_dict", state("0", 1))],
        [("state_dict", state("0", 1)), ("model", state("0", 1))],
    ] {
        let choice = read(&entries).unwrap().choice.unwrap();
        assert_eq!(
            (choice.taken.as_str(), choice.others.as_slice()),
            ("state_dict", &["model".to_owned()][..])
        );
        let told = choice.to_string();
        assert_eq!(
            told,
            "the weights under `state_dict` are taken, not those under `model`"
        );
    }
    let averaged = read(&[("ema\n", state("1", 2)), ("model", state("0", 1))]).unwrap();
    assert_eq!(averaged.tensors["a"].shape.to_vec(), [1]);
    let told = averaged.choice.unwrap().to_string();
    assert!(told.ends_with("under `ema\\n`"), "{told}");
    assert_eq!(read(&[("model", state("0", 1))]).unwrap().choice, None);
    let error = read(&[("model", state("1", 2)), ("state_dict", state("0", 1))]).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::OtherNetworks { keys } if keys == &["state_dict", "model"]),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("state_dict"), "{error}");
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

#[test]
fn names_are_texts_that_a_network_may_have() {
    let value = || tensor("FloatStorage", "0", 0, &[1], &[1]);
    let long = "x".repeat(1 << 20);
    let error = read_pickle(&pickle(dict(&[(long.as_str(), value())])), &[("0", 4)]).unwrap_err();
    assert!(matches!(error, CheckpointError::LongName { .. }), "{error}");
    assert!(error.to_string().len() < 200);
    let numbered = [b"}(".to_vec(), int(1), value(), b"u".to_vec()].concat();
    let error = read_pickle(&pickle(numbered), &[("0", 4)]).unwrap_err();
    assert!(
        matches!(error, CheckpointError::NoStateDict { .. }),
        "{error}"
    );
}
