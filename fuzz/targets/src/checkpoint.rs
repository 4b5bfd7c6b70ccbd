//! Checkpoints of PyTorch: the pickle alone, and the whole archive.

#[path = "../../../exporter/tests/support/checkpoint.rs"]
#[allow(dead_code, reason = "each user uses a part of it")]
mod made;

use vesal_exporter::import::Checkpoint;

use self::made::{archive, contiguous, dict, float, int, ints, pickle, tensor, text, tuple};
use crate::compressed::Wrapping;
use crate::scratch::ScratchFolder;
use crate::target::Target;

/// The pickle of an archive that is otherwise well formed.
pub const PICKLE: Target = Target {
    name: "checkpoint_pickle",
    run: |bytes| {
        let folder = ScratchFolder::new();
        let path = folder.path().join("model.pt");
        archive(&path, bytes, &[("0".to_owned(), vec![0; 96])]);
        read(&path);
    },
    seeds: || vec![example()],
    wrapping: None,
};

pub const ARCHIVE: Target = Target {
    name: "checkpoint_archive",
    run: |bytes| {
        let folder = ScratchFolder::new();
        read(&folder.file("model.pt", bytes));
    },
    seeds: || {
        let folder = ScratchFolder::new();
        let path = folder.path().join("model.pt");
        archive(&path, &example(), &[("0".to_owned(), vec![0; 96])]);
        vec![std::fs::read(path).expect("an archive")]
    },
    wrapping: Some(Wrapping::Zip("data.pkl")),
};

fn read(path: &std::path::Path) {
    match Checkpoint::read(path) {
        Ok(checkpoint) => {
            for (name, data) in &checkpoint.tensors {
                let shape = data.shape.to_vec();
                let values: usize = shape.iter().product();
                assert!(
                    data.as_slice::<f32>().is_ok_and(|all| all.len() == values),
                    "{name}"
                );
            }
        }
        Err(error) => drop(error.to_string()),
    }
}

fn example() -> Vec<u8> {
    let shape = [2, 3, 4];
    let weights = tensor("FloatStorage", "0", 0, &shape, &contiguous(&shape));
    pickle(dict(&[
        ("state_dict", dict(&[("weight", weights)])),
        ("epoch", int(3)),
        ("best_metric", float(0.5)),
        (
            "config",
            dict(&[(
                "network",
                dict(&[("name", text("x")), ("sizes", tuple(&[ints(&[1, 2])]))]),
            )]),
        ),
    ]))
}
