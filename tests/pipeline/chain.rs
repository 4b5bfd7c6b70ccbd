//! From labeled scans to label maps of unseen ones.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;
use vesal_io::image::read_label_map;
use vesal_io::nifti::read_header;
use vesal_tests::dataset::PhantomDataset;
use vesal_tests::programs::{programs, run};
use vesal_tests::score::{dice_table, mean_dice};

/// A short training, which suffices for a test.
pub const SETTINGS: &[&str] = &[
    "num_epochs=4",
    "num_images_per_batch=2",
    "num_epochs_per_validation=2",
    "num_warmup_epochs=1",
    "learning_rate=0.005",
    "roi_size=[16, 16, 16]",
    "network#init_filters=4",
    "network#blocks_down=[1, 1]",
];

struct Chain {
    _folder: TempDir,
    dataset: PhantomDataset,
    work: PathBuf,
    bundle: PathBuf,
}

/// A trained work directory and its bundle, made once for all tests.
fn chain() -> &'static Chain {
    static CHAIN: OnceLock<Chain> = OnceLock::new();
    CHAIN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let dataset = PhantomDataset::write(&path.join("data"), 6, 2).unwrap();
        let (work, bundle) = (path.join("work"), path.join("phantom.bundle"));
        run(&mut auto(&dataset.task, &work));
        run(Command::new(&programs().export)
            .arg("bundle")
            .arg("--work-dir")
            .arg(&work)
            .arg("--output")
            .arg(&bundle));
        Chain {
            _folder: folder,
            dataset,
            work,
            bundle,
        }
    })
}

/// `vesal-train auto` over two folds.
pub fn auto(task: &Path, work: &Path) -> Command {
    let mut command = Command::new(&programs().train);
    command
        .args(["auto", "--folds", "2", "--input"])
        .arg(task)
        .arg("--work-dir")
        .arg(work);
    for setting in SETTINGS {
        command.args(["--set", setting]);
    }
    command
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_bundle_verifies_where_it_is_deployed() {
    run(Command::new(&programs().vesal)
        .arg("verify")
        .arg(&chain().bundle));
    let manifest = json(&chain().bundle.join("manifest.json"));
    assert_eq!(manifest["members"].as_array().unwrap().len(), 2);
}

#[test]
fn the_deploy_plan_travels_byte_for_byte() {
    let plan = |folder: &Path| std::fs::read(folder.join("deploy_plan.json")).unwrap();
    assert_eq!(plan(&chain().work.join("segresnet")), plan(&chain().bundle));
}

#[test]
fn label_maps_lie_on_the_grid_of_their_scans() {
    let Chain {
        dataset, bundle, ..
    } = chain();
    let out = tempfile::tempdir().unwrap();
    let images: Vec<_> = dataset
        .held_out
        .iter()
        .map(|scan| scan.image.clone())
        .collect();
    run(predict(bundle, &images, out.path()).arg("--probabilities"));
    for scan in &dataset.held_out {
        let path = out.path().join(format!("{}_seg.nii.gz", scan.name));
        let (input, output) = (
            read_header(&scan.image).unwrap(),
            read_header(&path).unwrap(),
        );
        assert_eq!(input.geometry(), output.geometry());
        let labels = read_label_map(&path).unwrap();
        assert!(
            labels
                .data
                .iter()
                .all(|value| usize::from(*value) <= dataset.labels.len())
        );
        assert!(
            out.path()
                .join(format!("{}_prob.nii.gz", scan.name))
                .is_file()
        );
    }
    let stray: Vec<_> = std::fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(stray.len(), 2 * dataset.held_out.len(), "{stray:?}");
}

#[test]
fn the_trainers_score_is_the_deployed_one() {
    let Chain { dataset, work, .. } = chain();
    let folder = tempfile::tempdir().unwrap();
    for fold in 0..2 {
        let bundle = folder.path().join(format!("fold{fold}.bundle"));
        run(Command::new(&programs().export)
            .args(["bundle", "--folds", &fold.to_string(), "--work-dir"])
            .arg(work)
            .arg("--output")
            .arg(&bundle));

        let datalist = json(&work.join("datalist.json"));
        let held_out: Vec<_> = datalist["training"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|case| case["fold"] == fold)
            .map(|case| {
                Path::new(case["image"].as_str().unwrap())
                    .file_name()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        let scans: Vec<_> = dataset
            .training
            .iter()
            .filter(|scan| held_out.contains(&scan.image.file_name().unwrap().to_owned()))
            .cloned()
            .collect();
        assert_eq!(scans.len(), held_out.len());

        let out = folder.path().join(format!("out{fold}"));
        let images: Vec<_> = scans.iter().map(|scan| scan.image.clone()).collect();
        run(&mut predict(&bundle, &images, &out));
        let table = dice_table(&scans, &dataset.labels, |scan| {
            out.join(format!("{}_seg.nii.gz", scan.name))
        })
        .unwrap();
        let record = json(&work.join(format!("segresnet_{fold}/run.json")));
        for (label, deployed) in dataset.labels.iter().zip(mean_dice(&table)) {
            let trained = record["score"]["dice_by_label"][&label.name]
                .as_f64()
                .unwrap();
            assert!(
                (trained - deployed).abs() < 0.001,
                "fold {fold}, {}: trainer {trained}, deployed {deployed}",
                label.name
            );
        }
    }
}

/// Predicts the training cases by the members that held out their folds, and compares them with the truth.
pub fn evaluate_held_out(
    dataset: &PhantomDataset,
    work: &Path,
    bundle: &Path,
    members_of_fold: usize,
) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (datalist, out) = (work.join("datalist.json"), folder.path().join("out"));
    let dataroot = dataset.task.parent().unwrap();
    for fold in ["0", "1"] {
        let mut command = predict(bundle, std::slice::from_ref(&datalist), &out);
        command.args(["--list", "training", "--fold", fold, "--json", "--dataroot"]);
        let record: Value = serde_json::from_str(&run(command.arg(dataroot))).unwrap();
        assert_eq!(record["bundle"]["members"], members_of_fold);
    }
    let mut evaluate = Command::new(&programs().vesal);
    evaluate
        .args(["evaluate", "--json", "--list", "training", "--truth"])
        .arg(&datalist)
        .arg("--dataroot")
        .arg(dataroot)
        .arg("--prediction")
        .arg(&out)
        .arg("--bundle")
        .arg(bundle);
    let found: Value = serde_json::from_str(&run(&mut evaluate)).unwrap();
    let cases = found["cases"].as_array().unwrap();
    assert_eq!(cases.len(), dataset.training.len());
    assert_eq!(found["missing"], serde_json::json!([]));
    found
}

#[test]
fn members_of_a_fold_give_the_out_of_fold_score() {
    let Chain {
        dataset,
        work,
        bundle,
        ..
    } = chain();
    let found = evaluate_held_out(dataset, work, bundle, 1);
    let manifest = json(&bundle.join("manifest.json"));
    let expected = &manifest["ensemble"]["out_of_fold"]["dice_by_label"];
    for label in &dataset.labels {
        let trained = expected[&label.name].as_f64().unwrap();
        let deployed = found["labels"][&label.name]["dice"].as_f64().unwrap();
        assert!(
            (trained - deployed).abs() < 0.001,
            "{}: trainer {trained}, deployed {deployed}",
            label.name
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let images = [dataset.held_out[0].image.clone()];
    let refused = predict(bundle, &images, &folder.path().join("out"))
        .args(["--fold", "2"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("held out fold 2, expected one of [0, 1]"),
        "{told}"
    );
}

#[test]
fn the_bundle_carries_the_out_of_fold_score() {
    let Chain { work, bundle, .. } = chain();
    let scores: Value = serde_json::from_str(&run(Command::new(&programs().train)
        .args(["scores", "--json", "--work-dir"])
        .arg(work)))
    .unwrap();
    let manifest = json(&bundle.join("manifest.json"));
    assert_eq!(scores["out_of_fold"], manifest["ensemble"]["out_of_fold"]);
    assert_eq!(scores["out_of_fold"]["cases"], 6);
    assert_eq!(scores["cases"].as_array().unwrap().len(), 6);
    let names = manifest.to_string();
    assert!(
        !names.contains("phantom_0"),
        "cases are not named in a bundle"
    );
}

#[test]
fn an_evaluation_of_test_cases_agrees_with_another_count() {
    let Chain {
        dataset, bundle, ..
    } = chain();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let images: Vec<_> = dataset
        .held_out
        .iter()
        .map(|scan| scan.image.clone())
        .collect();
    run(&mut predict(bundle, &images, &out));
    let items: Vec<_> = dataset
        .held_out
        .iter()
        .map(|scan| serde_json::json!({"image": scan.image, "label": scan.label}))
        .collect();
    let list = folder.path().join("datalist.json");
    std::fs::write(&list, serde_json::json!({ "testing": items }).to_string()).unwrap();
    let found: Value = serde_json::from_str(&run(Command::new(&programs().vesal)
        .args(["evaluate", "--json", "--truth"])
        .arg(&list)
        .arg("--prediction")
        .arg(&out)
        .arg("--bundle")
        .arg(bundle)))
    .unwrap();
    let table = dice_table(&dataset.held_out, &dataset.labels, |scan| {
        out.join(format!("{}_seg.nii.gz", scan.name))
    })
    .unwrap();
    for (label, expected) in dataset.labels.iter().zip(mean_dice(&table)) {
        let dice = found["labels"][&label.name]["dice"].as_f64().unwrap();
        assert!((dice - expected).abs() < 1e-9, "{}", label.name);
    }
}

#[test]
fn a_history_becomes_the_same_bundle_elsewhere() {
    let Chain {
        dataset,
        work,
        bundle,
        ..
    } = chain();
    let folder = tempfile::tempdir().unwrap();
    let [file, imported, again] =
        ["history.zip", "imported", "again.bundle"].map(|name| folder.path().join(name));
    run(Command::new(&programs().train)
        .args(["export-history", "--only-trained", "--work-dir"])
        .arg(work)
        .arg("--out")
        .arg(&file));
    run(Command::new(&programs().train)
        .arg("import-history")
        .arg(&file)
        .arg("--work-dir")
        .arg(&imported)
        .arg("--dataroot")
        .arg(dataset.task.parent().unwrap()));
    let record = imported.join("segresnet_0/run.json");
    let before = std::fs::metadata(&record).unwrap().modified().unwrap();
    run(Command::new(&programs().train)
        .args(["auto", "--work-dir"])
        .arg(&imported));
    let after = std::fs::metadata(&record).unwrap().modified().unwrap();
    assert_eq!(before, after, "what is trained stays trained");
    run(Command::new(&programs().export)
        .args(["bundle", "--work-dir"])
        .arg(&imported)
        .arg("--output")
        .arg(&again));
    let manifest = |bundle: &Path| std::fs::read(bundle.join("manifest.json")).unwrap();
    assert!(manifest(bundle) == manifest(&again));
}

#[test]
fn a_second_auto_keeps_what_is_done() {
    let Chain { dataset, work, .. } = chain();
    let record = work.join("segresnet_1/run.json");
    let before = std::fs::metadata(&record).unwrap().modified().unwrap();
    run(&mut auto(&dataset.task, work));
    assert_eq!(
        std::fs::metadata(&record).unwrap().modified().unwrap(),
        before
    );
    let status: Value = serde_json::from_str(&run(Command::new(&programs().train)
        .args(["status", "--json", "--work-dir"])
        .arg(work)))
    .unwrap();
    let states: Vec<_> = status["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["state"])
        .collect();
    assert_eq!(states, ["done", "done"]);
}

pub fn predict(bundle: &Path, images: &[PathBuf], out: &Path) -> Command {
    let mut command = Command::new(&programs().vesal);
    command
        .args(["predict", "--device", "cpu", "--bundle"])
        .arg(bundle)
        .arg("--input")
        .args(images);
    command.arg("--output").arg(out);
    command
}
