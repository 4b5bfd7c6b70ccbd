//! Task files and datalists in the forms that Auto3DSeg's tutorials publish, through the program.

mod published;

use serde_json::json;
use vesal_bundle::deploy_plan::Activation;

use published::{Published, exits, names, stderr, utf8, values, vesal_train};

#[test]
fn the_documented_minimum_is_enough() {
    let published = Published::new(&[1, 2]);
    published.write_folds("liver/datalist.json");
    let data = published.data();
    let text = format!(
        "modality: CT\ndatalist: \"./datalist.json\"\ndataroot: \"{}\"\n",
        data.display()
    );
    let task = published.write("liver/task.yaml", &text);
    let (told, plan) = published.plan(&["--input", utf8(&task)]);
    assert!(
        told.contains("note: the task has no `name` and is called `liver`\n"),
        "{told}"
    );
    assert!(
        told.contains(
            "note: no class is named, so the classes are the labels that occur: label_1, label_2\n"
        ),
        "{told}"
    );
    assert_eq!(plan.name, "liver");
    assert_eq!(names(&plan), ["background", "label_1", "label_2"]);

    let work = published.path("work");
    let again = vesal_train(&["analyze", "--input", utf8(&task), "--work-dir", utf8(&work)]);
    exits(&again, 0);
    let plan_again = vesal_train(&["plan", "--work-dir", utf8(&work), "--json"]);
    exits(&plan_again, 0);
    let record = std::fs::read_to_string(work.join("work.json")).unwrap();
    assert!(record.contains("found_labels"), "{record}");
}

#[test]
fn a_decathlon_task_without_classes_and_with_folds_elsewhere_works() {
    let published = Published::new(&[1]);
    published.write_folds("tasks/msd_task09_spleen_folds.json");
    let text = "name: Task09_Spleen\ntask: segmentation\n\nmodality: CT\n\
        datalist: ./datafolds/msd_task09_spleen_folds.json # files\n\
        dataroot: /data/Task09_Spleen # images\n\nmultigpu: True\n";
    let task = published.write("tasks/input.yaml", text);
    let (told, plan) = published.plan_task(&task);
    assert!(
        told.contains(
            "note: there is no `./datafolds/msd_task09_spleen_folds.json`: the datalist is `"
        ),
        "{told}"
    );
    assert!(
        told.contains(
            "warning: keys of the task that have no effect here: `multigpu` (devices are chosen with `--device`)\n"
        ),
        "{told}"
    );
    assert_eq!(
        (plan.name.as_str(), names(&plan)),
        ("Task09_Spleen", vec!["background", "label_1"])
    );

    let without = vesal_train(&["analyze", "--input", utf8(&task), "--work-dir", "w"]);
    exits(&without, 3);
    let told = stderr(&without);
    assert!(
        told.contains("`dataroot` of the task is not found at `/data/Task09_Spleen`"),
        "{told}"
    );
    assert!(told.contains("--dataroot DIR"), "{told}");
}

#[test]
fn decathlon_tasks_with_classes_work() {
    for (labels, classes) in [
        (&[1][..], "[\"val_acc_ich\"]"),
        (&[1, 2], "[val_acc_ant, val_acc_post]"),
        (&[1, 2, 3], "[val_acc_edema, val_acc_enh, val_acc_nonenh]"),
    ] {
        let published = Published::new(labels);
        published.write_folds("folds.json");
        let text = format!(
            "name: Task_X\ntask: segmentation\nmodality: MRI\ndatalist: ./folds.json\n\
            dataroot: /workspace/data/x\nmultigpu: True\nclass_names: {classes}\n"
        );
        let (told, plan) = published.plan_task(&published.write("input.yaml", &text));
        assert_eq!(plan.labels.len(), labels.len() + 1);
        assert_eq!(plan.labels[1].value, 1);
        assert!(!told.contains("the labels that occur"), "{told}");
    }
}

#[test]
fn a_list_with_the_names_of_its_labels_names_the_classes() {
    let published = Published::new(&[1, 2, 3]);
    let list = json!({
        "description": "d", "labels": {"0": "background", "1": "spleen", "2": "rkid", "3": "lkid"},
        "licence": "l", "modality": {"0": "CT"}, "name": "btcv", "numTest": 1, "numTraining": 6, "reference": "r",
        "release": "1.0", "tensorImageSize": "3D", "test": ["imagesTs/img0061.nii.gz"],
        "training": published.items(true),
    });
    published.write("btcv_folds.json", &list.to_string());
    let text = "name: btcv\ntask: segmentation\nmodality: CT\ndatalist: ./btcv_folds.json\n\
        dataroot: /workspace/data/btcv\n";
    let task = published.write("input.yaml", text);
    let (told, plan) = published.plan_task(&task);
    assert!(
        told.contains(
            "note: the classes are spleen, rkid, lkid, as the datalist says under `labels`\n"
        ),
        "{told}"
    );
    assert_eq!(names(&plan), ["background", "spleen", "rkid", "lkid"]);
    let written = std::fs::read_to_string(published.path("work/datalist.json")).unwrap();
    assert!(written.contains("\"testing\""), "{written}");
}

#[test]
fn regions_with_settings_of_a_challenge_work() {
    let published = Published::new(&[1, 2, 3]);
    published.write_folds("kits23_folds.json");
    let text = "modality: CT\ndataroot: /data/kits23\ndatalist: kits23_folds.json\nclass_names:\n\
        \x20 - { name: kidney_and_mass, index: [1,2,3] }\n\
        \x20 - { name: mass, index: [2,3] }\n\
        \x20 - { name: tumor, index: [2] }\n\
        sigmoid: true\nauto_scale_allowed: false\nnum_epochs: 600\nresample: true\n\
        resample_resolution: [0.78125, 0.78125, 0.78125]\nroi_size: [256, 256, 256]\n\
        algos: segresnet\nnum_fold: 1\nensemble: false\nwork_dir: tmp/x\n";
    let task = published.write("kits23/input.yaml", text);
    published.write_folds("kits23/kits23_folds.json");
    let (told, plan) = published.plan_task(&task);
    assert_eq!(plan.activation, Activation::Sigmoid);
    assert_eq!(names(&plan), ["kidney_and_mass", "mass", "tumor"]);
    assert_eq!(plan.labels[0].index.as_deref(), Some(&[1, 2, 3][..]));
    assert_eq!(plan.window.size, [256; 3]);
    assert_eq!(plan.name, "kits23");
    assert!(
        told.contains("`ensemble` (`vesal-export bundle` makes the ensemble)"),
        "{told}"
    );
    assert!(
        told.contains("`work_dir` (the folder is `--work-dir`)"),
        "{told}"
    );
}

#[test]
fn two_modalities_work_and_code_is_refused_by_name() {
    let published = Published::with_second_image(&[1, 2]);
    published.write_folds("hecktor22/hecktor22_folds.json");
    let text = "modality: CT # primary\ndataroot: /data/hecktor22\ndatalist: hecktor22_folds.json\n\
        class_names: [tumor, lymph_node]\nextra_modalities: {image2 : pet}\n\
        image_size_mm_90: [200, 200, 310]\nresample_resolution: [1, 1, 1]\nroi_size: [192, 192, 192]\n";
    let code = "custom_data_transforms:\n  - key: after_resample_transforms\n    path: '.'\n\
        \x20   transform: {_target_: crop.CropNeckRegion, box_size: [200, 200, 310]}\n";
    let task = published.write("hecktor22/input.yaml", &format!("{text}{code}"));
    let data = published.data();
    let arguments = [
        "--input",
        utf8(&task),
        "--dataroot",
        utf8(&data),
        "--work-dir",
        "w",
    ];
    let refused = vesal_train(&[&["analyze"][..], &arguments].concat());
    exits(&refused, 3);
    let told = stderr(&refused);
    assert!(
        told.contains(
            "`custom_data_transforms` of the task is a list of 1, which does not exist here"
        ),
        "{told}"
    );
    assert!(told.contains("hint: no code of a task is run"), "{told}");

    let (told, plan) = published.plan_task(&published.write("hecktor22/input.yaml", text));
    assert!(
        told.contains("`image_size_mm_90` (it is measured in the images)"),
        "{told}"
    );
    assert_eq!(names(&plan), ["background", "tumor", "lymph_node"]);
    assert_eq!(plan.channels.len(), 2);
}

#[test]
fn a_datalist_alone_is_enough() {
    let published = Published::new(&[1, 2]);
    let list = json!({
        "name": "PROSTATE", "tensorImageSize": "3D", "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "PZ", "2": "TZ"}, "numTraining": 6, "numTest": 0,
        "training": published.items(false), "test": [],
    });
    let path = published.write("data/dataset.json", &list.to_string());
    let (told, plan) = published.plan(&["--datalist", utf8(&path), "--folds", "2"]);
    assert!(
        told.contains("note: the modality is MRI, as the datalist says under `modality`\n"),
        "{told}"
    );
    assert_eq!(names(&plan), ["background", "PZ", "TZ"]);
    assert_eq!(plan.name, "data");

    // The same command goes on with the directory, and another datalist replaces the cases only.
    let work = published.path("work");
    let again = [
        "analyze",
        "--datalist",
        utf8(&path),
        "--folds",
        "2",
        "--work-dir",
        utf8(&work),
    ];
    exits(&vesal_train(&again), 0);
    let fewer = json!({"training": &published.items(true)[..4]});
    let fewer = published.write("data/fewer.json", &fewer.to_string());
    let replaced = vesal_train(&[
        "analyze",
        "--datalist",
        utf8(&fewer),
        "--work-dir",
        utf8(&work),
    ]);
    exits(&replaced, 0);
    assert!(
        stderr(&replaced).contains("analyzed 4 cases"),
        "{}",
        stderr(&replaced)
    );
    let task = std::fs::read_to_string(work.join("task.yaml")).unwrap();
    assert!(task.contains("PZ"), "{task}");
    exits(&vesal_train(&["plan", "--work-dir", utf8(&work)]), 0);

    let plain = json!({"training": published.items(true)});
    let plain = published.write("data/plain.json", &plain.to_string());
    let new = published.path("new");
    let arguments = [
        "analyze",
        "--datalist",
        utf8(&plain),
        "--work-dir",
        utf8(&new),
    ];
    let error = vesal_train(&arguments);
    exits(&error, 3);
    assert!(
        stderr(&error).contains("or give `--modality`"),
        "{}",
        stderr(&error)
    );
    assert!(!new.exists(), "nothing is written");
    exits(
        &vesal_train(&[&arguments[..], &["--modality", "CT"]].concat()),
        0,
    );
}

#[test]
fn labels_with_gaps_keep_their_values() {
    let published = Published::new(&[2, 5]);
    published.write_folds("folds.json");
    let task = published.write(
        "gaps.yaml",
        "modality: mri\ndatalist: folds.json\ndataroot: /nowhere\n",
    );
    let (told, plan) = published.plan_task(&task);
    assert!(
        told.contains("the labels that occur: label_2, label_5\n"),
        "{told}"
    );
    assert_eq!(
        (names(&plan), values(&plan)),
        (vec!["background", "label_2", "label_5"], vec![0, 2, 5])
    );

    // Names that come later make other plans.
    let named = "modality: mri\ndatalist: folds.json\ndataroot: /nowhere\nclass_names: {2: liver, 5: tumor}\n";
    let task = published.write("gaps.yaml", named);
    let (told, plan) = published.plan_task(&task);
    assert!(!told.contains("the labels that occur"), "{told}");
    assert_eq!(
        (names(&plan), values(&plan)),
        (vec!["background", "liver", "tumor"], vec![0, 2, 5])
    );
}

#[test]
fn a_minimal_task_trains_to_scores() {
    let published = Published::new(&[1, 4]);
    published.write_folds("folds.json");
    let task = published.write(
        "boxes.yaml",
        "modality: mr\ndatalist: folds.json\ndataroot: data\n",
    );
    let work = published.path("work");
    let mut arguments = vec!["auto", "--input", utf8(&task), "--work-dir", utf8(&work)];
    for setting in [
        "num_epochs=2",
        "roi_size=[16, 16, 16]",
        "network#init_filters=4",
        "network#blocks_down=[1, 1]",
        "resample=no",
    ] {
        arguments.extend(["--set", setting]);
    }
    let done = vesal_train(&arguments);
    exits(&done, 0);
    let scores = String::from_utf8(done.stdout).unwrap();
    assert!(
        scores.contains("label_1") && scores.contains("label_4"),
        "{scores}"
    );
    let record = std::fs::read_to_string(work.join("segresnet_1/scores.json")).unwrap();
    assert!(record.contains("\"label_4\""), "{record}");
    exits(&vesal_train(&["report", "--work-dir", utf8(&work)]), 0);
    assert!(
        std::fs::read_to_string(work.join("report.html"))
            .unwrap()
            .contains("label_4")
    );
    let again = vesal_train(&arguments);
    exits(&again, 0);
    assert!(
        stderr(&again).contains("6 cases analyzed before"),
        "{}",
        stderr(&again)
    );
}
