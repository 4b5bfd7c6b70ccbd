//! Folders as people have them: the task and the datalist that are made of them, and what is said about the odd ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ndarray::{Array3, Array4};
use serde_json::{Value, json};
use tempfile::TempDir;
use vesal_io::nifti::{WriteOptions, write_label_map, write_volume};
use vesal_volume::{Affine, LabelMap, Volume};

use crate::dataset_on_disk::{SHAPE, image, labels, text};
use crate::metaimage_files::MetaImage;

/// A dataset below a temporary folder, and a folder for what is made of it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.at("data")).unwrap();
        folder
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.at("data").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn image(&self, name: &str) {
        self.channels(name, 1, Affine::IDENTITY);
    }

    fn channels(&self, name: &str, channels: usize, affine: Affine) {
        let [x, y, z] = SHAPE;
        // The analysis finds images with the same voxels.
        let seed = name
            .bytes()
            .fold(7_usize, |seed, byte| (seed * 31 + usize::from(byte)) % 9973);
        let ramp = image(seed);
        let data = Array4::from_shape_fn((channels, x, y, z), |(c, x, y, z)| {
            ramp[[x, y, z]] + (c * x) as f32
        });
        let volume = Volume { data, affine };
        write_volume(self.path(name), &volume, &WriteOptions::default()).unwrap();
    }

    fn map(&self, name: &str, data: Array3<u16>) {
        let affine = Affine::IDENTITY;
        let map = LabelMap { data, affine };
        write_label_map(self.path(name), &map, &WriteOptions::default()).unwrap();
    }

    /// Labels 1 and 2.
    fn label(&self, name: &str) {
        self.map(name, labels());
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn json(&self, name: &str, value: &Value) {
        self.write(name, value.to_string());
    }

    fn run(&self, arguments: &[&str]) -> Made {
        let (data, output) = (self.at("data"), self.at("out"));
        let mut all = vec!["datalist", data.to_str().unwrap()];
        all.extend(["--output", output.to_str().unwrap()]);
        all.extend(arguments);
        Made::of(&vesal_train(&all))
    }

    fn task(&self) -> String {
        text(&self.at("out/task.yaml"))
    }

    fn datalist(&self) -> Value {
        serde_json::from_slice(&fs::read(self.at("out/datalist.json")).unwrap()).unwrap()
    }

    /// The stages up to the plan accept what was made.
    fn plans(&self, cases: usize) {
        let (task, work) = (self.at("out/task.yaml"), self.at("work"));
        let [task, work] = [&task, &work].map(|path| path.to_str().unwrap());
        let made = [
            "analyze",
            "--input",
            task,
            "--work-dir",
            work,
            "--folds",
            "2",
        ];
        let done = Made::of(&vesal_train(&made));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let told = format!("analyzed {cases} cases");
        assert!(done.stderr.contains(&told), "{}", done.stderr);
        let done = Made::of(&vesal_train(&["plan", "--work-dir", work]));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
    }
}

struct Made {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Made {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    #[track_caller]
    fn tells(&self, code: i32, parts: &[&str]) {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert_eq!(self.code, Some(code), "{all}");
        for part in parts {
            assert!(all.contains(part), "expected {part}\n{all}");
        }
    }
}

fn vesal_train(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vesal-train"));
    command.args(arguments).env_remove("VESAL_DATAROOT");
    command.output().unwrap()
}

#[test]
fn decathlon_with_the_traps_of_its_archives() {
    let folder = Folder::new();
    for case in ["a", "b", "c", "d"] {
        folder.channels(&format!("imagesTr/p_{case}.nii.gz"), 2, Affine::IDENTITY);
        folder.label(&format!("labelsTr/p_{case}.nii.gz"));
        folder.write(&format!("imagesTr/._p_{case}.nii.gz"), b"\0\x05\x16\x07");
    }
    folder.channels("imagesTs/q.nii.gz", 2, Affine::IDENTITY);
    folder.channels("imagesTr/unlisted.nii.gz", 2, Affine::IDENTITY);
    let item = |case: &str| json!({"image": format!("./imagesTr/p_{case}.nii.gz"), "label": format!("./labelsTr/p_{case}.nii.gz")});
    folder.json(
        "dataset.json",
        &json!({
            "name": "Prostate", "modality": {"0": "T2", "1": "ADC"},
            "labels": {"0": "background", "2": "TZ", "1": "PZ"}, "numTraining": 5.0, "numTest": 1,
            "training": [item("a"), item("b"), item("c"), item("d"), item("absent")], "test": ["./imagesTs/q.nii.gz"],
        }),
    );
    folder.run(&[]).tells(
        7,
        &[
            "layout    Medical Segmentation Decathlon",
            "cases     4 with a label map, 1 without",
            "channels  T2 (mri), ADC (mri); 2 channels in each file",
            "classes   1 PZ, 2 TZ",
            "dataset.json lists and that are not there (1)\n  imagesTr/p_absent.nii.gz",
            "dataset.json does not list (1)\n  imagesTr/unlisted.nii.gz",
            "with a fraction, read as whole numbers (1)\n  `numTraining`: 5.0",
            "`numTraining` is 5, listed are 4",
            "files of macOS without voxels, ignored (4)\n  imagesTr/._p_a.nii.gz",
            "channels in one file of four dimensions",
        ],
    );
    let task = folder.task();
    let expected = "name: Prostate\nmodality: mri\ndatalist: datalist.json\ndataroot: ../data\nclass_names:\n- PZ\n- TZ\n";
    assert!(task.ends_with(expected), "{task}");
    let training = ["a", "b", "c", "d"].map(|case| {
        json!({"image": format!("imagesTr/p_{case}.nii.gz"), "label": format!("labelsTr/p_{case}.nii.gz")})
    });
    assert_eq!(
        folder.datalist(),
        json!({
            "training": training,
            "testing": [{"image": "imagesTs/q.nii.gz"}],
        })
    );
    folder.plans(4);
}

fn nnunet(folder: &Folder, cases: &[&str]) {
    for case in cases {
        folder.image(&format!("imagesTr/{case}_0000.nii.gz"));
        folder.image(&format!("imagesTr/{case}_0001.nii.gz"));
        folder.label(&format!("labelsTr/{case}.nii.gz"));
    }
}

#[test]
fn nnunet_2_with_regions_and_folds() {
    let folder = Folder::new();
    nnunet(&folder, &["BR_001", "BR_002", "BR_003", "BR_004"]);
    folder.image("imagesTr/BR_005_0000.nii.gz");
    folder.label("labelsTr/BR_005.nii.gz");
    folder.label("labelsTr/BR_006.nii.gz");
    folder.image("imagesTs/BR_9_0000.nii.gz");
    folder.image("imagesTs/BR_9_0001.nii.gz");
    folder.image("imagesTr/BR_007_0000.nii");
    folder.write("imagesTr/._BR_001_0000.nii.gz", b"x");
    folder.json(
        "dataset.json",
        &json!({
            "channel_names": {"0": "T1", "1": "FLAIR"}, "file_ending": ".nii.gz", "numTraining": 4,
            "labels": {"background": 0.0, "whole": [1.0, 2.0], "core": [2]}, "regions_class_order": [1, 2],
        }),
    );
    folder.json(
        "splits_final.json",
        &json!([
            {"train": ["BR_003", "BR_004"], "val": ["BR_001", "BR_002"]},
            {"train": ["BR_001", "BR_002"], "val": ["BR_003", "BR_004"]},
        ]),
    );
    folder.run(&["--name", "tumor"]).tells(
        7,
        &[
            "layout    nnU-Net v2",
            "cases     4 with a label map, 1 without",
            "channels  T1 (mri), FLAIR (mri)\n",
            "classes   1+2 whole, 2 core",
            "folds     2 of `",
            "label maps without an image (1)\n  labelsTr/BR_006.nii.gz",
            "lack a channel (1)\n  BR_005 lacks 0001",
            "another ending than dataset.json states (1)\n  imagesTr/BR_007_0000.nii",
            "`labels.background`: 0.0",
            "files of macOS",
        ],
    );
    let task = folder.task();
    assert!(task.contains("name: tumor\nmodality: mri\n"), "{task}");
    assert!(
        task.contains("- name: whole\n  index:\n  - 1\n  - 2\n"),
        "{task}"
    );
    let list = folder.datalist();
    assert_eq!(
        list["training"][2],
        json!({"image": ["imagesTr/BR_003_0000.nii.gz", "imagesTr/BR_003_0001.nii.gz"],
            "label": "labelsTr/BR_003.nii.gz", "fold": 1})
    );
    folder.plans(4);

    // What a task cannot state is refused.
    folder.json(
        "dataset.json",
        &json!({"channel_names": {"0": "T1", "1": "FLAIR"}, "file_ending": ".nii.gz",
            "labels": {"background": 0, "tumor": 1, "ignore": 2}}),
    );
    folder.run(&["--overwrite"]).tells(
        3,
        &[
            "label 2 is ignored in training (`ignore`)",
            "--ignored-as-background",
        ],
    );
    folder
        .run(&["--overwrite", "--ignored-as-background"])
        .tells(
            7,
            &[
                "classes   1 tumor\n",
                "trained as background (1)\n  label 2",
            ],
        );
}

#[test]
fn nnunet_1_and_channels_of_two_modalities() {
    let folder = Folder::new();
    nnunet(&folder, &["h_1", "h_2"]);
    nnunet(&folder, &["extra"]);
    let item = |case: &str| json!({"image": format!("./imagesTr/{case}.nii.gz"), "label": format!("./labelsTr/{case}.nii.gz")});
    folder.json(
        "dataset.json",
        &json!({
            "name": "Head", "modality": {"0": "CT", "1": "PET"}, "labels": {"0": "background", "1": "tumor", "2": " node"},
            "training": [item("h_1"), item("h_2"), item("h_3")], "test": [],
        }),
    );
    let splits = json!([{"train": ["h_1"], "val": ["h_2"]}, {"train": [], "val": ["h_2"]}]);
    folder.json("splits_final.json", &splits);
    folder.run(&[]).tells(
        7,
        &[
            "layout    nnU-Net v1",
            "channels  CT (ct), PET (pet, as `pet`)",
            "not there (1)\n  h_3",
            "does not list (2)\n  imagesTr/extra_0000.nii.gz",
            "\" node\"",
            "splits that are not used",
            "`h_2` is held out by the splits 0 and 1",
            "folds     none",
        ],
    );
    assert!(
        folder
            .task()
            .contains("modality: ct\nextra_modalities:\n  pet: pet\n")
    );
    let list = folder.datalist();
    assert_eq!(list["training"][0]["pet"], "imagesTr/h_1_0001.nii.gz");
    assert_eq!(list["training"].as_array().unwrap().len(), 2);
    folder.plans(2);
}

#[test]
fn bids_with_sessions_and_derivatives() {
    let folder = Folder::new();
    for subject in ["sub-01", "sub-02"] {
        for session in ["ses-a", "ses-b"] {
            let name = format!("{subject}_{session}");
            let anat = format!("{subject}/{session}/anat/{name}");
            folder.image(&format!("{anat}_T1w.nii.gz"));
            // On a grid of its own.
            let coarse = Affine::from_spacing([1.0, 1.0, 3.0]);
            folder.channels(&format!("{anat}_FLAIR.nii.gz"), 1, coarse);
            let derived = format!("derivatives/manual/{subject}/{session}/anat/{name}");
            folder.label(&format!("{derived}_desc-lesion_dseg.nii.gz"));
        }
    }
    folder.image("sub-03/ses-a/anat/sub-03_ses-a_T1w.nii.gz");
    folder.image("sub-03/ses-a/anat/sub-03_ses-a_FLAIR.nii.gz");
    folder.image("sub-03/ses-a/func/sub-03_ses-a_task-rest_bold.nii.gz");
    folder.json("dataset_description.json", &json!({"Name": "x"}));
    folder.run(&["--class-names", "old,new"]).tells(
        0,
        &[
            "layout    BIDS",
            "cases     4 with a label map, 1 without",
            "channels  T1w (mri), FLAIR (mri, as `flair`)",
            "classes   1 old, 2 new",
            "grids of their own, listed under `extra_modalities` (1)\n  FLAIR",
        ],
    );
    let list = folder.datalist();
    assert_eq!(
        list["training"][3],
        json!({
            "image": "sub-02/ses-b/anat/sub-02_ses-b_T1w.nii.gz", "flair": "sub-02/ses-b/anat/sub-02_ses-b_FLAIR.nii.gz",
            "label": "derivatives/manual/sub-02/ses-b/anat/sub-02_ses-b_desc-lesion_dseg.nii.gz", "patient": "sub-02",
        })
    );
    folder.plans(4);

    folder.label("derivatives/tool/sub-01/ses-a/anat/sub-01_ses-a_desc-brain_mask.nii.gz");
    folder.run(&["--overwrite"]).tells(
        3,
        &[
            "several kinds of label maps: `*_desc-brain_mask.nii.gz`, `*_desc-lesion_dseg.nii.gz`",
            "--labels",
        ],
    );
    folder
        .run(&["--overwrite", "--labels", "*_dseg*"])
        .tells(0, &["label_1"]);
}

#[test]
fn two_folders_with_words_in_the_names() {
    let folder = Folder::new();
    for number in 1..=3 {
        folder.image(&format!("img/img000{number}.nii.gz"));
        folder.map(
            &format!("label/label000{number}.nii.gz"),
            labels().mapv(|label| label * 2),
        );
    }
    folder.image("img/img0004.nii.gz");
    folder.label("label/label0009.nii.gz");
    let meta = MetaImage::default();
    folder.write("img/img0005.mha", meta.attached());
    folder.write(
        "label/label0005.mha",
        meta.data([[0, 2, 4]; 20].concat()).attached(),
    );
    let made = folder.run(&[]);
    made.tells(
        3,
        &[
            "nothing tells the modality of `image`",
            "pass --modality ct, mri or pet",
        ],
    );
    assert!(!folder.at("out/task.yaml").exists());
    folder.run(&["--modality", "CT"]).tells(
        7,
        &[
            "layout    images in `img`, label maps in `label`",
            "cases     4 with a label map, 1 without",
            "classes   2 label_2, 4 label_4",
            "label maps without an image (1)\n  label/label0009.nii.gz",
            "listed under `testing` (1)\n  img/img0004.nii.gz",
            "different endings (2)\n  1 .mha\n  3 .nii.gz",
        ],
    );
    assert!(folder.task().contains("- name: label_2\n  index:\n  - 2\n"));
    folder.plans(4);
    let made = folder.run(&["--modality", "ct", "--overwrite", "--class-names", "a"]);
    made.tells(
        3,
        &["there are 1 class names for 2 classes: 2 label_2, 4 label_4"],
    );
    let named = ["--modality", "ct", "--overwrite", "--class-names", "a,b"];
    folder.run(&named).tells(7, &["classes   2 a, 4 b"]);
}

#[test]
fn a_folder_that_names_its_modality() {
    let folder = Folder::new();
    for case in ["x", "y"] {
        folder.image(&format!("CT/{case}.nii.gz"));
        folder.label(&format!("masks/{case}_mask.nii.gz"));
    }
    folder.image("old/z.nii.gz");
    folder.run(&[]).tells(
        0,
        &[
            "channels  CT (ct)",
            "no part of the layout (1)\n  old (1)",
            "2 with a label map, 0 without",
        ],
    );
    folder.plans(2);
    let named = [
        "--images-dir",
        "old",
        "--labels-dir",
        "masks",
        "--overwrite",
        "--modality",
        "ct",
    ];
    folder.run(&named).tells(
        3,
        &["no image has a label map: 1 images and 2 label maps share no names"],
    );
}

#[test]
fn one_folder_with_pairs() {
    let folder = Folder::new();
    for case in ["P-1", "P-10"] {
        folder.image(&format!("{case}_t1.nii.gz"));
        folder.image(&format!("{case}_t2.nii.gz"));
        folder.label(&format!("{case}_lesion.nii.gz"));
    }
    folder.image("P-2_t1.nii.gz");
    folder.image("P-2_t2.nii.gz");
    folder.run(&["--labels", "*_lesion.nii*"]).tells(
        0,
        &[
            "paired by name",
            "cases     2 with a label map, 1 without",
            "channels  t1 (mri), t2 (mri)\n",
        ],
    );
    assert_eq!(
        folder.datalist()["testing"],
        json!([{"image": ["P-2_t1.nii.gz", "P-2_t2.nii.gz"]}])
    );
    folder.plans(2);
    // Nothing looks like a label map.
    folder
        .run(&["--overwrite"])
        .tells(3, &["no image has a label map", "--labels PATTERN"]);
}

#[test]
fn a_folder_for_each_case() {
    let folder = Folder::new();
    for case in ["BraTS20_001", "BraTS20_002", "BraTS20_003"] {
        for channel in ["t1", "t1ce", "flair"] {
            folder.image(&format!("{case}/{case}_{channel}.nii.gz"));
        }
        folder.map(
            &format!("{case}/{case}_seg.nii.gz"),
            labels().mapv(|label| label * label),
        );
    }
    folder.image("BraTS20_004/BraTS20_004_t1.nii.gz");
    folder.label("BraTS20_004/BraTS20_004_seg.nii.gz");
    folder.run(&[]).tells(
        7,
        &[
            "layout    a folder for each case",
            "channels  flair (mri), t1 (mri), t1ce (mri)\n",
            "BraTS20_004 lacks flair, t1ce",
            "classes   1 label_1, 4 label_4",
        ],
    );
    folder.run(&["--channels", "T1ce,t1", "--overwrite"]).tells(
        7,
        &[
            "channels  t1ce (mri), t1 (mri)\n",
            "images of no channel, not listed (3)",
        ],
    );
    folder.plans(3);
    folder.run(&["--channels", "t2", "--overwrite"]).tells(
        3,
        &["no case has the channels `t2`, found are `flair`, `t1`, `t1ce`"],
    );
    folder.label("BraTS20_001/BraTS20_001_mask.nii.gz");
    folder.run(&["--overwrite"]).tells(
        3,
        &["case `BraTS20_001` has several label maps: `BraTS20_001/BraTS20_001_mask.nii.gz`"],
    );
}

#[test]
fn case_folders_with_plain_names_and_four_dimensions() {
    let folder = Folder::new();
    for case in ["P01", "P02"] {
        folder.channels(&format!("{case}/mri.nii.gz"), 3, Affine::IDENTITY);
        folder.label(&format!("{case}/seg.nii.gz"));
    }
    folder.run(&[]).tells(
        0,
        &[
            "channels  mri 0 (mri), mri 1 (mri), mri 2 (mri); 3 channels in each file",
            "(1)\n  3 channels",
        ],
    );
    let list = folder.datalist();
    assert_eq!(
        list["training"][1],
        json!({"image": "P02/mri.nii.gz", "label": "P02/seg.nii.gz"})
    );
    folder.plans(2);
}

#[test]
fn nothing_is_written_over_or_in_part() {
    let folder = Folder::new();
    for case in ["a", "b"] {
        folder.image(&format!("ct/{case}.nii.gz"));
        folder.label(&format!("seg/{case}.nii.gz"));
    }
    folder.run(&[]).tells(0, &["wrote `"]);
    fs::remove_file(folder.at("out/datalist.json")).unwrap();
    folder
        .run(&[])
        .tells(6, &["task.yaml` exists already", "pass `--overwrite`"]);
    assert!(!folder.at("out/datalist.json").exists());
    // A folder instead of a task is told where to go.
    let data = folder.at("data");
    let data = data.to_str().unwrap();
    for command in ["analyze", "auto"] {
        let work = folder.at("work");
        let arguments = [
            command,
            "--input",
            data,
            "--work-dir",
            work.to_str().unwrap(),
        ];
        let made = Made::of(&vesal_train(&arguments));
        let expected = format!("hint: `vesal-train datalist {data}` makes one");
        made.tells(3, &["is a folder, expected a task", &expected]);
        assert!(!work.exists());
    }
}

#[test]
fn unusable_folders_are_refused_with_a_remedy() {
    let refused = |folder: &Folder, parts: &[&str]| {
        folder.run(&["--modality", "ct"]).tells(3, parts);
        assert!(!folder.at("out/task.yaml").exists());
    };
    let folder = Folder::new();
    folder.write("notes.txt", "no image");
    refused(&folder, &["has an image", "MetaImage (.mha, .mhd)"]);
    folder.image("deep/er/a.nii.gz");
    refused(&folder, &["no known layout", "--images-dir DIR"]);
    folder.json("Task01/dataset.json", &json!({}));
    refused(
        &folder,
        &["it holds datasets in `Task01`", "such as `Task01`"],
    );
    let labels = json!({"background": 0, "a": 1});
    for (content, part) in [
        ("{".to_owned(), "is not JSON"),
        ("[]".to_owned(), "`the content` of dataset.json is []"),
        ("{}".to_owned(), "does not state `channel_names`"),
        (
            json!({"channel_names": {"0": "CT"}}).to_string(),
            "does not state `labels`",
        ),
        (
            json!({"channel_names": {"x": "CT"}, "labels": labels}).to_string(),
            "`channel_names.x` of dataset.json is \"x\"",
        ),
        (
            json!({"channel_names": {"0": "CT"}, "labels": {"a": 1.5}}).to_string(),
            "`labels.a` of dataset.json is 1.5, expected a whole number",
        ),
        (
            json!({"channel_names": {"0": "CT"}, "labels": {"a": [0, 1]}}).to_string(),
            "class `a` has label 0 besides others",
        ),
        (
            json!({"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".png"}).to_string(),
            "states the ending `.png`",
        ),
        (
            json!({"modality": {"0": "CT"}, "labels": labels, "training": [{"image": "../a.nii.gz"}]}).to_string(),
            "`../a.nii.gz` of dataset.json is outside",
        ),
        (
            json!({"channel_names": {"0": "CT"}, "labels": labels}).to_string(),
            "it has no image in `imagesTr`",
        ),
    ] {
        folder.write("dataset.json", content);
        refused(&folder, &["cannot make a task of `", part]);
    }
    let absent = vesal_train(&["datalist", "no-such-folder"]);
    Made::of(&absent).tells(3, &["`no-such-folder` is no folder"]);
}

#[test]
fn a_byte_order_mark_and_unreadable_label_maps_are_told() {
    let folder = Folder::new();
    for case in ["a", "b", "c"] {
        folder.image(&format!("images/{case}.nii.gz"));
        folder.label(&format!("labels/{case}.nii.gz"));
    }
    folder.write("labels/c.nii.gz", b"\x1f\x8b damaged");
    fs::remove_file(folder.path("labels/b.nii.gz")).unwrap();
    folder.map("labels/b.nii.gz", Array3::zeros(SHAPE));
    folder.run(&["--modality", "mri"]).tells(
        0,
        &[
            "cannot be read; the analysis will leave them out (1)\n  labels/c.nii.gz",
            "are empty (1)\n  labels/b.nii.gz",
        ],
    );
    for case in ["a", "b", "c"] {
        fs::remove_file(folder.path(&format!("labels/{case}.nii.gz"))).unwrap();
        folder.label(&format!("labelsTr/{case}.nii.gz"));
        folder.image(&format!("imagesTr/{case}_0000.nii.gz"));
    }
    let dataset = json!({"channel_names": {"0": "CT"}, "labels": {"background": "0", "a": 1}, "file_ending": ".nii.gz"});
    folder.write("dataset.json", format!("\u{feff}{dataset}"));
    folder.run(&["--overwrite"]).tells(
        0,
        &[
            "byte order mark",
            "JSON as texts",
            "nnU-Net v2",
            "channels  CT (ct)",
        ],
    );
    assert!(Path::new(&folder.at("out/task.yaml")).is_file());
}
