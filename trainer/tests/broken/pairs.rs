//! Images and label maps that do not belong together.

use ndarray::s;
use serde_json::json;
use vesal_trainer::analyze::findings::FindingKind::*;
use vesal_trainer::analyze::findings::Severity::Error;
use vesal_volume::Affine;

use super::{IDENTITY, Row, good, moved, two_channels};
use crate::dataset_on_disk::{image, labels};

pub const ROWS: &[Row] = &[
    (
        "no label in the datalist",
        ImageWithoutLabel,
        Error,
        "bad",
        |d| {
            d.image("bad", &image(50), IDENTITY);
            d.item(json!({"image": "bad.nii.gz"}));
        },
    ),
    ("null as label", ImageWithoutLabel, Error, "bad", |d| {
        d.image("bad", &image(50), IDENTITY);
        d.item(json!({"image": "bad.nii.gz", "label": null}));
    }),
    (
        "no image in the datalist",
        LabelWithoutImage,
        Error,
        "bad_label",
        |d| {
            d.label("bad", &labels(), IDENTITY);
            d.item(json!({"label": "bad_label.nii.gz"}));
        },
    ),
    ("the image as label map", LabelIsImage, Error, "bad", |d| {
        d.image("bad", &image(50), IDENTITY);
        d.item(json!({"image": "bad.nii.gz", "label": "bad.nii.gz"}));
    }),
    ("fewer slices of labels", ShapeMismatch, Error, "bad", |d| {
        good(d);
        d.label("bad", &labels().slice(s![.., .., ..7]).to_owned(), IDENTITY);
    }),
    ("transposed labels", ShapeMismatch, Error, "bad", |d| {
        good(d);
        d.label(
            "bad",
            &labels()
                .permuted_axes([1, 0, 2])
                .as_standard_layout()
                .to_owned(),
            IDENTITY,
        );
    }),
    ("channels of two shapes", ShapeMismatch, Error, "bad", |d| {
        two_channels(d, &image(51).slice(s![..9, .., ..]).to_owned(), IDENTITY);
    }),
    (
        "labels one voxel aside",
        AffineMismatch,
        Error,
        "bad",
        |d| {
            good(d);
            d.label("bad", &labels(), moved(2, 1.0));
        },
    ),
    (
        "labels of another spacing",
        AffineMismatch,
        Error,
        "bad",
        |d| {
            good(d);
            d.label("bad", &labels(), Affine::from_spacing([1.0, 1.0, 1.5]));
        },
    ),
    (
        "labels of another orientation",
        AffineMismatch,
        Error,
        "bad",
        |d| {
            good(d);
            d.label("bad", &labels(), Affine::from_spacing([-1.0, 1.0, 1.0]));
        },
    ),
    (
        "channels in two places",
        AffineMismatch,
        Error,
        "bad",
        |d| {
            two_channels(d, &image(51), moved(0, 5.0));
        },
    ),
];
