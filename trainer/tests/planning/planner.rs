//! Plans from data stats: rules, the user's settings, and their limits.

use crate::dataset_on_disk::Dataset;
use vesal_bundle::DicomRules;
use vesal_bundle::deploy_plan::Modality;
use vesal_network::NetworkConfig;
use vesal_trainer::algorithms;
use vesal_trainer::analyze::stats::StatsSummary;
use vesal_trainer::memory::MemorySource;
use vesal_trainer::planner::{Budget, PlannerError, PlannerInput, PlannerOutput};
use vesal_trainer::settings::CropMode;
use vesal_trainer::settings::Overrides;
use vesal_trainer::task::Classes;
use vesal_volume::preprocess::{Normalization, Step};

fn stats() -> StatsSummary {
    Dataset::new(3).stats()
}

fn classes() -> Classes {
    Classes::parse(serde_yaml_ng::from_str("[first, second]").unwrap(), None).unwrap()
}

fn plan_with(
    stats: &StatsSummary,
    modality: Modality,
    settings: &[&str],
    memory: f64,
) -> Result<PlannerOutput, PlannerError> {
    let mut overrides = Overrides::default();
    settings
        .iter()
        .for_each(|text| overrides.set_text(text).unwrap());
    let input = PlannerInput {
        name: "boxes",
        modality,
        extra_modalities: &[],
        classes: &classes(),
        dicom: &DicomRules::default(),
        overrides: &overrides,
    };
    (algorithms::DEFAULT.plan)(
        stats,
        &input,
        &Budget {
            device_memory_gib: memory,
            source: MemorySource::Set,
            ..Budget::default()
        },
    )
}

fn mri(settings: &[&str]) -> PlannerOutput {
    plan_with(&stats(), Modality::Mri, settings, 16.0).unwrap()
}

#[test]
fn small_images_get_a_small_network_and_the_reference_schedule() {
    let PlannerOutput {
        deploy,
        train,
        reasons,
    } = mri(&[]);
    assert_eq!(
        (train.roi_size, deploy.window.size),
        ([12, 8, 8], [12, 8, 8])
    );
    assert_eq!(
        (
            train.crop_mode,
            train.num_images_per_batch,
            train.num_crops_per_image
        ),
        (CropMode::Rand, 1, 1)
    );
    assert_eq!(
        (
            train.num_epochs,
            train.num_warmup_epochs,
            train.num_epochs_per_validation
        ),
        (1250, 3, None)
    );
    assert_eq!(
        (train.learning_rate, train.weight_decay, train.use_amp),
        (2e-4, 1e-5, true)
    );
    let NetworkConfig::SegresnetDs(network) = &train.network else {
        panic!("another network")
    };
    assert_eq!(
        (
            network.in_channels,
            network.out_channels,
            network.init_filters
        ),
        (1, 3, 32)
    );
    assert_eq!(
        (network.blocks_down.as_slice(), network.resolution),
        ([1, 2, 4].as_slice(), None)
    );
    let labels: Vec<_> = deploy
        .labels
        .iter()
        .map(|label| (label.name.as_str(), label.value))
        .collect();
    assert_eq!(labels, [("background", 0), ("first", 1), ("second", 2)]);
    assert_eq!(
        deploy.preprocessing,
        [
            Step::OrientRas,
            Step::CropForeground {
                threshold: 0.0,
                margin: 10
            },
            Step::Normalize {
                channels: vec![Normalization::ZScoreNonzero]
            },
        ]
    );
    assert_eq!(deploy.window.overlap, [0.625; 3]);
    let set: Vec<_> = reasons
        .iter()
        .filter(|decision| decision.rule == "as set by you")
        .map(|decision| decision.name)
        .collect();
    assert_eq!(set, ["device_memory_gib"]);
}

#[test]
fn spacing_follows_the_reference() {
    let mut stats = stats();
    let spacing = &mut stats.image_stats.spacing;
    spacing.median = [0.8, 0.6, 5.0];
    spacing.percentile_10_0 = [0.5, 0.5, 3.0];
    spacing.percentile_00_5 = [0.5, 0.5, 2.0];
    spacing.percentile_99_5 = [0.9, 1.0, 4.0];
    stats.image_stats.sizemm.median = [200.0, 200.0, 120.0];
    stats.image_stats.sizemm.percentile_90_0 = [400.0, 400.0, 200.0];
    let plans = plan_with(&stats, Modality::Ct, &[], 16.0).unwrap();
    let resample = Step::Resample {
        spacing: [0.8, 0.6, 3.0],
        keep: [0.75, 1.25],
    };
    assert_eq!(
        plans.deploy.preprocessing[2], resample,
        "1.0 mm in y is more than 1.5 times 0.6 mm"
    );
    let NetworkConfig::SegresnetDs(network) = &plans.train.network else {
        panic!("another network")
    };
    assert_eq!(network.resolution, Some([0.8, 0.6, 3.0]));
    assert_eq!(plans.train.crop_mode, CropMode::Ratio);
    let factor = plans.train.network.shape_factor();
    assert!((0..3).all(|axis| plans.train.roi_size[axis].is_multiple_of(factor[axis])));
    // A slice distance below the spacing within the plane is replaced by that spacing.
    stats.image_stats.spacing.percentile_10_0[2] = 0.1;
    let plans = plan_with(&stats, Modality::Ct, &["resample=true"], 16.0).unwrap();
    assert_eq!(
        plans.deploy.preprocessing[2],
        Step::Resample {
            spacing: [0.8, 0.6, 0.7],
            keep: [0.75, 1.25]
        }
    );
}

#[test]
fn ct_is_scaled_by_the_foreground() {
    let stats = stats();
    let plans = plan_with(&stats, Modality::Ct, &[], 16.0).unwrap();
    let foreground = &stats.image_foreground_stats.intensity;
    let (low, high) = (
        foreground.percentile_00_5 as f32,
        foreground.percentile_99_5 as f32,
    );
    let range = |low, high| Step::Normalize {
        channels: vec![Normalization::SigmoidRange { low, high }],
    };
    assert_eq!(plans.deploy.preprocessing.last(), Some(&range(low, high)));
    let set = plan_with(
        &stats,
        Modality::Ct,
        &["intensity_bounds=[-100, 200]"],
        16.0,
    )
    .unwrap();
    assert_eq!(set.deploy.preprocessing.last(), Some(&range(-100.0, 200.0)));
    let mut flat = stats;
    flat.image_foreground_stats.intensity_by_channel[0].percentile_00_5 = high.into();
    assert!(matches!(
        plan_with(&flat, Modality::Ct, &[], 16.0),
        Err(PlannerError::IntensityBounds { .. })
    ));
}

#[test]
fn more_memory_gives_larger_batches_by_crop_mode() {
    let rand = plan_with(&stats(), Modality::Mri, &[], 80.0).unwrap().train;
    assert_eq!(
        (
            rand.num_images_per_batch,
            rand.num_crops_per_image,
            rand.num_epochs
        ),
        (5, 1, 1250)
    );
    let ratio = plan_with(&stats(), Modality::Mri, &["crop_mode=ratio"], 80.0)
        .unwrap()
        .train;
    assert_eq!(
        (
            ratio.num_images_per_batch,
            ratio.num_crops_per_image,
            ratio.num_epochs
        ),
        (1, 5, 416)
    );
}

#[test]
fn a_batch_of_the_user_is_divided_like_any_other_unless_both_numbers_are_set() {
    let numbers = |settings: &[&str]| {
        let train = mri(settings).train;
        (
            train.num_images_per_batch,
            train.num_crops_per_image,
            train.num_epochs,
        )
    };
    assert_eq!(
        numbers(&["num_images_per_batch=2", "crop_mode=ratio"]),
        (1, 2, 625)
    );
    assert_eq!(
        numbers(&["num_images_per_batch=2", "crop_mode=rand"]),
        (2, 1, 1250)
    );
    assert_eq!(
        numbers(&[
            "num_images_per_batch=2",
            "num_crops_per_image=4",
            "crop_mode=ratio"
        ]),
        (2, 4, 416)
    );
    assert_eq!(numbers(&["num_crops_per_image=2"]), (1, 2, 625));
    assert_eq!(
        numbers(&["num_images_per_batch=2", "crop_mode=ratio", "num_epochs=7"]),
        (1, 2, 7)
    );
}

#[test]
fn the_users_patch_survives_or_is_refused_with_the_nearest_ones() {
    let plans = mri(&["roi_size=[16, 4, 8]"]);
    assert_eq!(
        (plans.train.roi_size, plans.deploy.window.size),
        ([16, 4, 8], [16, 4, 8])
    );
    let decision = plans
        .reasons
        .iter()
        .find(|decision| decision.name == "roi_size")
        .unwrap();
    assert_eq!(
        (decision.value_text().as_str(), decision.rule),
        ("[16, 4, 8]", "as set by you")
    );
    assert!(
        decision.because.contains("[12, 8, 8]"),
        "{}",
        decision.because
    );
    let error = plan_with(&stats(), Modality::Mri, &["roi_size=[15, 3, 8]"], 16.0).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("the nearest are [12, 4, 8] and [16, 4, 8]"),
        "{error}"
    );
    // With other levels, the rule's patch suits these, with two voxels on the lowest level.
    let deeper = mri(&["network#blocks_down=[1, 1, 1, 1]", "network#init_filters=8"]);
    assert_eq!(deeper.train.roi_size, [16, 16, 16]);
}

#[test]
fn little_memory_for_cases_takes_more_steps_of_each() {
    let steps = |host_memory_gib, settings: &[&str]| {
        let mut overrides = Overrides::default();
        settings
            .iter()
            .for_each(|text| overrides.set_text(text).unwrap());
        let input = PlannerInput {
            name: "boxes",
            modality: Modality::Mri,
            extra_modalities: &[],
            classes: &classes(),
            dicom: &DicomRules::default(),
            overrides: &overrides,
        };
        let budget = Budget {
            host_memory_gib,
            ..Budget::default()
        };
        (algorithms::DEFAULT.plan)(&stats(), &input, &budget)
            .unwrap()
            .train
            .num_steps_per_image
    };
    assert_eq!(steps(None, &[]), 1);
    assert_eq!(steps(Some(1.0), &[]), 1);
    assert_eq!(steps(Some(0.0), &[]), 4);
    assert_eq!(steps(Some(0.0), &["num_images_per_batch=2"]), 2);
    assert_eq!(steps(Some(0.0), &["num_images_per_batch=9"]), 1);
    assert_eq!(steps(Some(0.0), &["num_steps_per_image=3"]), 3);
}

#[test]
fn controls_have_the_references_defaults_and_fit_patch_and_classes() {
    let train = mri(&[]).train;
    assert_eq!(train.augment_flips, [0, 1, 2]);
    assert_eq!(
        (train.early_stopping_fraction, train.stop_on_lowacc),
        (0.001, true)
    );
    assert_eq!(
        (train.class_weights, train.clip_grad_norm, train.ema_decay),
        (None, None, None)
    );
    assert!(mri(&["augment_mode=none"]).train.augment_flips.is_empty());
    let kept = mri(&["augment_mode=none", "augment_flips=[1]"]).train;
    assert_eq!(kept.augment_flips, [1]);
    for (setting, expected) in [
        (
            "augment_rots=[[0, 1]]",
            "`augment_rots` turns axes [0, 1] of a patch of [12, 8, 8] voxels, expected sides of one length",
        ),
        (
            "class_weights=[1, 2]",
            "`class_weights` has 2 weights, expected 3: background, then each class of the task",
        ),
    ] {
        let error = plan_with(&stats(), Modality::Mri, &[setting], 16.0).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().is_some());
    }
    assert_eq!(mri(&["augment_rots=[[1, 2]]"]).train.augment_rots, [[1, 2]]);
}

#[test]
fn rules_of_dicom_come_into_the_plan_or_do_not_fit_it() {
    let planned = |channel: &str| {
        let concept = r#"{"value": "10200004", "scheme": "SCT", "meaning": "Liver"}"#;
        let dicom = format!(
            r#"{{"channels": {{"{channel}": {{"series_descriptions": ["*portal*"]}}}},
                "labels": {{"second": {{"category": {concept}, "type": {concept}}}}}}}"#
        );
        let input = PlannerInput {
            name: "boxes",
            modality: Modality::Ct,
            extra_modalities: &[("t1".to_owned(), Modality::Mri)],
            classes: &classes(),
            dicom: &serde_json::from_str(&dicom).unwrap(),
            overrides: &Overrides::default(),
        };
        (algorithms::DEFAULT.plan)(&stats(), &input, &Budget::default())
    };
    let deploy = planned("t1").unwrap().deploy;
    assert!(deploy.channels[0].series_descriptions.is_empty());
    assert_eq!(deploy.channels[1].series_descriptions, ["*portal*"]);
    assert_eq!(deploy.labels[1].code, None);
    assert_eq!(
        deploy.labels[2].code.as_ref().unwrap().kind.meaning,
        "Liver"
    );
    let error = planned("image_0").unwrap_err();
    assert!(
        matches!(&error, PlannerError::Dicom(error) if error.to_string().ends_with("expected one of `image`, `t1`")),
        "{error:?}"
    );
}

#[test]
fn train_plans_from_before_the_controls_still_read() {
    let mut plan = serde_json::to_value(mri(&[]).train).unwrap();
    let fields = plan.as_object_mut().unwrap();
    for name in [
        "augment_mode",
        "augment_flips",
        "augment_rots",
        "early_stopping_fraction",
        "stop_on_lowacc",
    ] {
        assert!(fields.remove(name).is_some(), "{name}");
    }
    let plan: vesal_trainer::train_plan::TrainPlan = serde_json::from_value(plan).unwrap();
    assert_eq!(plan.augment_flips, [0, 1, 2]);
    assert_eq!(
        (plan.early_stopping_fraction, plan.stop_on_lowacc),
        (0.0, false)
    );
}
