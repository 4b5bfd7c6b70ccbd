//! The program as users see it: exit codes, output on stdout, and errors.

use std::path::Path;
use std::process::{Command, Output};

use crate::dataset_on_disk::{Dataset, image, labels, text};
use serde_json::Value;
use vesal_trainer::algorithms;
use vesal_volume::Affine;

fn vesal_train(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vesal-train"));
    command
        .args(arguments)
        .env_remove("VESAL_DATAROOT")
        .env_remove("VESAL_DEVICE");
    command.output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn exits(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
}

fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn stages_of_a_work_directory() {
    let mut dataset = Dataset::new(4);
    dataset.list("missing");
    let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
    let work = folder.path().join("work");
    let work = utf8(&work);

    let analyzed = vesal_train(&[
        "analyze",
        "--input",
        utf8(&task),
        "--folds",
        "2",
        "--work-dir",
        work,
    ]);
    exits(&analyzed, 7);
    assert_eq!(stdout(&analyzed), "");
    let told = stderr(&analyzed);
    assert!(told.contains("analyzed 4 cases"), "{told}");
    assert!(
        told.contains(
            "left out: missing file (1)\n  missing  `missing.nii.gz`, `missing_label.nii.gz` are not there\n"
        ),
        "{told}"
    );

    let planned = vesal_train(&[
        "plan",
        "--work-dir",
        work,
        "--explain",
        "--set",
        "num_epochs=7",
    ]);
    exits(&planned, 0);
    let explained = stdout(&planned);
    assert!(
        explained
            .contains("\nSCHEDULE\n  num_epochs                7\n      rule: as set by you\n"),
        "{explained}"
    );
    assert!(
        explained.contains("\nINTENSITIES\n  normalize_mode            meanstd\n"),
        "{explained}"
    );
    assert!(
        explained.lines().all(|line| line.chars().count() <= 100),
        "{explained}"
    );

    let status = vesal_train(&["status", "--work-dir", work, "--json"]);
    exits(&status, 0);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(
        (&status["format"], &status["format_version"]),
        (&"vesal-status".into(), &1.into())
    );
    assert_eq!(
        (&status["analyzed"], &status["planned"]),
        (&true.into(), &true.into())
    );
    assert_eq!(status["runs"].as_array().unwrap().len(), 2);
    assert_eq!(status["runs"][1]["state"], "to do");
    let status = stdout(&vesal_train(&["status", "--work-dir", work]));
    assert!(
        status.contains(
            "fold  state  epoch  best Dice  at epoch  steps/s  left\n0     to do      -          -         -        -     -\n"
        ),
        "{status}"
    );

    let fold = vesal_train(&["fit", "--work-dir", work, "--fold", "2"]);
    exits(&fold, 2);
    assert!(stderr(&fold).contains("fold 2 is not among the folds to train, which are [0, 1]"));
}

#[test]
fn memory_is_decided_once_and_respected() {
    let dataset = Dataset::new(4);
    let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
    let work = folder.path().join("work");
    let work = utf8(&work);
    let set_up = ["analyze", "--input", utf8(&task), "--folds", "2"];
    exits(
        &vesal_train(&[set_up.as_slice(), &["--work-dir", work]].concat()),
        0,
    );
    let plan = |more: &[&str]| {
        let planned = vesal_train(&[&["plan", "--work-dir", work, "--json"], more].concat());
        exits(&planned, 0);
        let told: Value = serde_json::from_slice(&planned.stdout).unwrap();
        assert_eq!(told["format_version"], 2);
        let value = |name: &str| {
            let decisions = told["decisions"].as_array().unwrap();
            let decision = decisions.iter().find(|decision| decision["name"] == name);
            decision.unwrap()["value"].as_f64().unwrap()
        };
        [
            value("device_memory_gib"),
            value("num_images_per_batch") * value("num_crops_per_image"),
        ]
    };
    let [detected, patches] = plan(&[]);
    assert!((0.1..=16.0).contains(&detected), "{detected}");
    assert_eq!(patches, 1.0);
    assert_eq!(plan(&["--device-memory", "80"]), [80.0, 5.0]);
    assert_eq!(plan(&[]), [80.0, 5.0], "memory that was set is kept");
    assert_eq!(plan(&["--device-memory", "detect"]), [detected, 1.0]);
    for wrong in ["0", "much", "-3"] {
        exits(
            &vesal_train(&["plan", "--work-dir", work, "--device-memory", wrong]),
            2,
        );
    }

    // No machine has this much.
    plan(&[
        "--set",
        "roi_size=[512, 512, 512]",
        "--set",
        "num_images_per_batch=4096",
    ]);
    let refused = vesal_train(&["fit", "--work-dir", work, "--fold", "0"]);
    exits(&refused, 5);
    let told = stderr(&refused);
    assert!(
        told.contains("4096 patches of [512, 512, 512] voxels")
            && told.contains("GiB on `cpu`, which has")
            && told
                .contains("hint: `vesal-train plan --work-dir DIR --set num_images_per_batch=1 "),
        "{told}"
    );
    assert!(!folder.path().join("work/segresnet_0/metrics.csv").exists());
}

#[test]
fn a_strict_analysis_fails_on_any_finding() {
    let mut dataset = Dataset::new(4);
    let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
    let work = folder.path().join("work");
    let analyze = |task: &Path, further: &[&str]| {
        let usual = [
            "analyze",
            "--input",
            utf8(task),
            "--folds",
            "2",
            "--work-dir",
            utf8(&work),
        ];
        vesal_train(&[&usual, further].concat())
    };
    exits(&analyze(&task, &["--strict"]), 0);

    dataset.image("empty", &image(9), Affine::IDENTITY);
    dataset.label("empty", &labels().mapv(|_| 0), Affine::IDENTITY);
    dataset.list("empty");
    let task = dataset.write_task("");
    let kept = analyze(
        &task,
        &[
            "--components",
            "--histogram-bins",
            "5",
            "--histogram-range",
            "-10,1000",
        ],
    );
    exits(&kept, 0);
    let told = stderr(&kept);
    assert!(
        told.contains("warning: empty label map (1)\n  empty  its label map has background only\n"),
        "{told}"
    );
    assert!(told.contains("analyzed 5 cases"), "{told}");
    let by_case = text(&work.join("datastats_by_case.yaml"));
    for expected in ["ncomponents: 1", "bin_edges:", "intensity_histogram:"] {
        assert!(by_case.contains(expected), "{by_case}");
    }
    let strict = analyze(&task, &["--strict"]);
    exits(&strict, 3);
    let told = stderr(&strict);
    assert!(told.contains("1 finding in `"), "{told}");
    assert!(
        told.contains("findings.json`, expected none with `--strict`"),
        "{told}"
    );

    exits(&analyze(&task, &["--histogram-range", "0,1"]), 2);
    let falling = analyze(
        &task,
        &["--histogram-bins", "5", "--histogram-range", "1,0"],
    );
    exits(&falling, 2);
    assert!(
        stderr(&falling)
            .contains("the histogram's range is 1 to 0, expected finite numbers in rising order")
    );
}

#[test]
fn errors_tell_what_to_do_and_exit_by_their_kind() {
    let dataset = Dataset::new(4);
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    let work = utf8(&work);

    let none = vesal_train(&["auto", "--work-dir", work]);
    exits(&none, 2);
    assert!(
        stderr(&none).contains("\nhint: `--input task.yaml` sets it up\n"),
        "{}",
        stderr(&none)
    );

    let task = dataset.write_task("num_epoch: 3\n");
    let unknown = vesal_train(&["auto", "--input", utf8(&task), "--work-dir", work]);
    exits(&unknown, 3);
    assert!(stderr(&unknown).contains("unknown key `num_epoch`, did you mean `num_epochs`?"));
    let named = format!("cannot use the task `{}`", task.display());
    assert!(stderr(&unknown).contains(&named), "{}", stderr(&unknown));
    let task = dataset.write_task(&format!("x: {}\n", "[".repeat(200_000)));
    let nested = vesal_train(&["auto", "--input", utf8(&task), "--work-dir", work]);
    exits(&nested, 3);
    assert!(
        stderr(&nested).contains("has more than 64 lists and mappings within each other")
            && stderr(&nested).contains("\nhint: close every `[`"),
        "{}",
        stderr(&nested)
    );
    #[cfg(unix)]
    for source in [&["auto", "--input"][..], &["import-history"]] {
        let arguments = [source, &["/dev/zero", "--work-dir", work]].concat();
        let device = vesal_train(&arguments);
        exits(&device, 3);
        assert!(
            stderr(&device).contains("it is not a regular file"),
            "{}",
            stderr(&device)
        );
    }

    let task = dataset.write_task("");
    let setting = vesal_train(&[
        "auto",
        "--input",
        utf8(&task),
        "--work-dir",
        work,
        "--set",
        "roi_sise=[8, 8, 8]",
    ]);
    exits(&setting, 2);
    assert!(stderr(&setting).contains("`roi_sise` is no setting, did you mean `roi_size`?"));

    let roi = ["--folds", "2", "--set", "roi_size=[9, 8, 8]"];
    let patch = vesal_train(
        &[
            &["auto", "--input", utf8(&task), "--work-dir", work],
            roi.as_slice(),
        ]
        .concat(),
    );
    exits(&patch, 4);
    assert!(
        stderr(&patch).contains("the nearest are [8, 8, 8] and [12, 8, 8]"),
        "{}",
        stderr(&patch)
    );

    exits(
        &vesal_train(&["fit", "--work-dir", work, "--fold", "0", "--device", "gpu"]),
        2,
    );
    exits(&vesal_train(&["fit", "--work-dir", work, "--fold", "0"]), 2);
    exits(&vesal_train(&["nonsense"]), 2);
    exits(&vesal_train(&["--version"]), 0);
}

#[test]
fn algorithms_are_named_on_the_command_line() {
    let dataset = Dataset::new(4);
    let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
    let work = folder.path().join("work");
    let work = utf8(&work);
    let set_up = ["analyze", "--input", utf8(&task), "--folds", "2"];
    exits(
        &vesal_train(&[set_up.as_slice(), &["--work-dir", work]].concat()),
        0,
    );
    for command in [
        ["plan", "--work-dir", work].as_slice(),
        &["auto", "--work-dir", work],
        &["fit", "--work-dir", work, "--fold", "0"],
    ] {
        let unknown = vesal_train(&[command, &["--algorithms", "segresnet,unet"]].concat());
        exits(&unknown, 2);
        let told = stderr(&unknown);
        assert!(told.contains("`unet` is no algorithm"), "{told}");
    }
    exits(&vesal_train(&["bench", "--algorithm", "unet"]), 2);
    let wrong = dataset.write_task("algos: [unet]\n");
    let refused = vesal_train(&["auto", "--input", utf8(&wrong), "--work-dir", work]);
    exits(&refused, 3);
    let told = stderr(&refused);
    assert!(told.contains("`unet` is no algorithm"), "{told}");

    let all: Vec<_> = vesal_trainer::algorithms::all()
        .iter()
        .map(|algorithm| algorithm.name)
        .collect();
    let named = all.join(",");
    let planned = vesal_train(&[
        "plan",
        "--work-dir",
        work,
        "--algorithms",
        &named,
        "--set",
        "allow_skip=false",
    ]);
    exits(&planned, 0);
    let told = stderr(&planned);
    for name in &all {
        let expected = format!("wrote deploy_plan.json and train_plan.json to {name}/");
        assert!(told.contains(&expected), "{told}");
    }
    let status = stdout(&vesal_train(&["status", "--work-dir", work]));
    assert_eq!(status.contains("algorithm "), all.len() > 1);
    assert_eq!(status.matches("to do").count(), 2 * all.len(), "{status}");
    let status = vesal_train(&["status", "--work-dir", work, "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    for (run, found) in status["runs"].as_array().unwrap().iter().enumerate() {
        assert_eq!(found["algorithm"], all[run / 2]);
        assert_eq!(found["fold"], run % 2);
    }
    for (summary, name) in status["algorithms"].as_array().unwrap().iter().zip(&all) {
        assert_eq!(summary["algorithm"], *name);
        assert_eq!(
            (&summary["folds"], &summary["folds_done"]),
            (&2.into(), &0.into())
        );
        assert!(summary["mean_over_folds"].is_null());
    }
}

#[test]
fn an_algorithm_that_is_not_for_the_cases_is_skipped_unless_the_user_wants_it() {
    let dataset = Dataset::new(4);
    let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
    let work = folder.path().join("work");
    let runs = || {
        let status = vesal_train(&["status", "--work-dir", utf8(&work), "--json"]);
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        let runs = status["runs"].as_array().unwrap().iter();
        runs.map(|run| run["algorithm"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let plan = |arguments: &[&str]| {
        let command = ["plan", "--work-dir", utf8(&work)];
        vesal_train(&[command.as_slice(), arguments].concat())
    };
    let near = "planes are less than 3 times as far apart as voxels within them";
    exits(
        &vesal_train(&[
            "analyze",
            "--input",
            utf8(&task),
            "--folds",
            "2",
            "--work-dir",
            utf8(&work),
        ]),
        0,
    );

    let both = plan(&["--algorithms", "segresnet,segresnet2d", "--json"]);
    exits(&both, 0);
    let told = stderr(&both);
    assert!(told.contains("segresnet2d: skipped, because"), "{told}");
    assert!(told.contains(near), "{told}");
    let decisions: Value = serde_json::from_slice(&both.stdout).unwrap();
    assert!(decisions["algorithms"][0]["decisions"].is_array());
    let skipped = &decisions["algorithms"][1];
    assert_eq!(skipped["algorithm"], "segresnet2d");
    assert!(skipped["skipped"].as_str().unwrap().contains(near));
    assert_eq!(runs(), ["segresnet", "segresnet"]);
    assert!(!work.join("segresnet2d").exists());

    let alone = plan(&["--algorithms", "segresnet2d"]);
    exits(&alone, 2);
    let told = stderr(&alone);
    assert!(told.contains(near), "{told}");
    assert!(told.contains("--set allow_skip=false"), "{told}");
    let fit = ["fit", "--fold", "0", "--algorithms", "segresnet2d"];
    let fit = vesal_train(&[fit.as_slice(), &["--work-dir", utf8(&work)]].concat());
    exits(&fit, 2);
    assert!(stderr(&fit).contains(near), "{}", stderr(&fit));
    let patch = plan(&["--set", "roi_size=[9, 8, 8]"]);
    exits(&patch, 4);
    // What could not be planned is not kept.
    exits(&plan(&[]), 0);
    assert_eq!(runs(), ["segresnet", "segresnet"]);

    let all = plan(&["--algorithms", "segresnet2d", "--set", "allow_skip=false"]);
    exits(&all, 0);
    assert_eq!(
        runs(),
        ["segresnet", "segresnet", "segresnet2d", "segresnet2d"]
    );
    assert!(work.join("segresnet2d/deploy_plan.json").exists());
    let again = plan(&[
        "--algorithms",
        "segresnet,segresnet2d",
        "--set",
        "allow_skip=",
    ]);
    exits(&again, 0);
    assert_eq!(runs(), ["segresnet", "segresnet"]);

    let every = plan(&["--algorithms", "all", "--json"]);
    exits(&every, 0);
    let decisions: Value = serde_json::from_slice(&every.stdout).unwrap();
    let decisions = decisions["algorithms"].as_array().unwrap();
    let planned = |decisions: &&Value| decisions["decisions"].is_array();
    assert_eq!(decisions.len(), algorithms::all().len());
    assert_eq!(
        decisions.iter().filter(planned).count(),
        decisions.len() - 1
    );
    assert_eq!(runs().len(), 2 * (decisions.len() - 1));
}
