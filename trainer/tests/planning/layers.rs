//! Datasets and plans are independent of the training loop and of Burn.

use std::path::{Path, PathBuf};

/// Modules of datasets and plans.
const LAYERS: [&str; 13] = [
    "algorithms",
    "analyze",
    "augment",
    "dataset",
    "folds",
    "folds.rs",
    "initial_weights.rs",
    "planner",
    "precision.rs",
    "schedule.rs",
    "settings",
    "task",
    "train_plan.rs",
];
/// Paths that these modules may not contain.
const ABOVE: [&str; 4] = ["burn", "vesal_kernels", "vesal_models", "crate::fit"];

fn sources(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            sources(&entry.unwrap().path(), found);
        }
    } else {
        found.push(path.to_owned());
    }
}

#[test]
fn data_sets_and_plans_name_neither_burn_nor_the_training_loop() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for layer in LAYERS {
        sources(&src.join(layer), &mut files);
    }
    assert!(files.len() > LAYERS.len());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.lines().map(|line| line.split("//").next().unwrap());
        for (index, line) in code.enumerate() {
            for name in ABOVE {
                assert!(
                    !line.contains(name),
                    "{}:{} names `{name}`",
                    file.display(),
                    index + 1
                );
            }
        }
    }
}
