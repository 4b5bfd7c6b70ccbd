//! Cases that are suspicious by themselves or beside the others.

use ndarray::{Array3, s};
use serde_json::json;
use vesal_trainer::analyze::findings::FindingKind::*;
use vesal_trainer::analyze::findings::Severity::{Error, Warning};
use vesal_volume::Affine;

use super::{IDENTITY, Row, case, edited_image, edited_label, good, real_labels};
use crate::dataset_on_disk::{SHAPE, image, labels};
use crate::raw_nifti::{put_f32, put_i16, raw};

pub const ROWS: &[Row] = &[
    (
        "one file in two folds",
        SameImageInTwoFolds,
        Error,
        "bad_2",
        |d| {
            d.image("bad", &image(50), IDENTITY);
            d.label("bad", &labels(), IDENTITY);
            for fold in 0..2 {
                d.item(json!({"image": "bad.nii.gz", "label": "bad_label.nii.gz", "fold": fold}));
            }
        },
    ),
    (
        "equal voxels in two folds",
        SameImageInTwoFolds,
        Error,
        "bad",
        |d| {
            for (fold, name) in ["first", "bad"].into_iter().enumerate() {
                d.image(name, &image(50), IDENTITY);
                d.label(name, &labels(), IDENTITY);
                d.item(json!({
                "image": format!("{name}.nii.gz"), "label": format!("{name}_label.nii.gz"), "fold": fold
            }));
            }
        },
    ),
    ("equal voxels", DuplicateImages, Warning, "bad", |d| {
        case(d, &image(0), &labels(), IDENTITY);
    }),
    ("one file twice", DuplicateImages, Warning, "bad_2", |d| {
        good(d);
        d.list("bad");
    }),
    (
        "a patient in two folds",
        PatientInTwoFolds,
        Warning,
        "bad",
        |d| {
            for (fold, name) in ["bad", "other"].into_iter().enumerate() {
                d.image(name, &image(50 + fold), IDENTITY);
                d.label(name, &labels(), IDENTITY);
                d.item(json!({
                    "image": format!("{name}.nii.gz"), "label": format!("{name}_label.nii.gz"),
                    "fold": fold, "patient": "a"
                }));
            }
        },
    ),
    ("background only", EmptyLabel, Warning, "bad", |d| {
        case(d, &image(50), &labels().mapv(|_| 0), IDENTITY);
    }),
    ("a moved qform", SformQformDiffer, Warning, "bad", |d| {
        edited_image(d, |bytes| put_f32(bytes, 268, 40.0));
    }),
    (
        "a qform that is half a turn away",
        SformQformDiffer,
        Error,
        "bad",
        |d| edited_image(d, |bytes| put_f32(bytes, 264, 1.0)),
    ),
    (
        "neither sform nor qform",
        UnknownOrientation,
        Warning,
        "bad",
        |d| {
            let neither: fn(&mut Vec<u8>) = |bytes| {
                put_i16(bytes, 252, 0);
                put_i16(bytes, 254, 0);
            };
            raw(&d.path("bad.nii"), &image(50), neither);
            raw(&d.path("bad_label.nii"), &real_labels(), neither);
            d.item(json!({"image": "bad.nii", "label": "bad_label.nii"}));
        },
    ),
    (
        "voxels from right to left",
        OrientationDiffers,
        Warning,
        "bad",
        |d| {
            let mut affine = Affine::from_spacing([-1.0, 1.0, 1.0]);
            affine.0[0][3] = SHAPE[0] as f64 - 1.0;
            let image = image(50)
                .slice(s![..;-1, .., ..])
                .as_standard_layout()
                .to_owned();
            let labels = labels()
                .slice(s![..;-1, .., ..])
                .as_standard_layout()
                .to_owned();
            case(d, &image, &labels, affine);
        },
    ),
    ("mirrored labels", LeftRightDiffers, Warning, "bad", |d| {
        let mirrored = labels()
            .slice(s![..;-1, .., ..])
            .as_standard_layout()
            .to_owned();
        case(d, &image(50), &mirrored, IDENTITY);
    }),
    ("a large image", OutlierSize, Warning, "bad", |d| {
        let mut large = Array3::zeros((30, SHAPE[1], SHAPE[2]));
        large.slice_mut(s![..SHAPE[0], .., ..]).assign(&labels());
        let voxels =
            Array3::from_shape_fn(large.dim(), |(x, y, z)| (51 + x + 10 * y + 100 * z) as f32);
        case(d, &voxels, &large, IDENTITY);
    }),
    ("thick slices", OutlierSpacing, Warning, "bad", |d| {
        case(
            d,
            &image(50),
            &labels(),
            Affine::from_spacing([1.0, 1.0, 4.0]),
        );
    }),
    (
        "another scale of intensities",
        OutlierIntensity,
        Warning,
        "bad",
        |d| {
            case(
                d,
                &image(50).mapv(|value| 1000.0 * value),
                &labels(),
                IDENTITY,
            );
        },
    ),
    ("32-bit integers", UnusualVoxelType, Warning, "bad", |d| {
        edited_image(d, |bytes| {
            put_i16(bytes, 70, 8);
            for voxel in bytes[352..].as_chunks_mut::<4>().0 {
                *voxel = (f32::from_le_bytes(*voxel) as i32).to_le_bytes();
            }
        });
    }),
    ("scaled labels", UnusualVoxelType, Warning, "bad", |d| {
        edited_label(
            d,
            &labels().mapv(|label| if label > 1 { 1.0 } else { 0.0 }),
            |bytes| put_f32(bytes, 112, 2.0),
        );
    }),
];
