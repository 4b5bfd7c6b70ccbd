//! Datasets with one defect each.

use std::fs;

use ndarray::{Array3, s};
use serde_json::json;
use vesal_trainer::analyze::findings::FindingKind::{self, *};
use vesal_trainer::analyze::findings::Severity::{self, Error, Warning};
use vesal_volume::Affine;

use crate::dataset_on_disk::{Dataset, SHAPE, image, labels};
use crate::raw_nifti::{put_f32, put_i16, raw};

/// A defect, the finding that it has to give, and the case that it is in.
pub type Row = (
    &'static str,
    FindingKind,
    Severity,
    &'static str,
    fn(&mut Dataset),
);

pub const IDENTITY: Affine = Affine::IDENTITY;

/// Adds a good case `bad`, to be spoiled.
fn good(dataset: &mut Dataset) {
    dataset.image("bad", &image(50), IDENTITY);
    dataset.label("bad", &labels(), IDENTITY);
    dataset.list("bad");
}

/// Adds a case with this file as image and a good label map.
fn with_image(dataset: &mut Dataset, file: &str) {
    dataset.label("bad", &labels(), IDENTITY);
    dataset.item(json!({"image": file, "label": "bad_label.nii.gz"}));
}

/// Adds a case with a good image and this file as label map.
fn with_label(dataset: &mut Dataset, file: &str) {
    dataset.image("bad", &image(50), IDENTITY);
    dataset.item(json!({"image": "bad.nii.gz", "label": file}));
}

/// Adds a case whose image is an uncompressed file with edited bytes.
fn edited_image(dataset: &mut Dataset, edit: fn(&mut Vec<u8>)) {
    raw(&dataset.path("bad.nii"), &image(50), edit);
    with_image(dataset, "bad.nii");
}

/// Adds a case whose label map is an uncompressed file of these values with edited bytes.
fn edited_label(dataset: &mut Dataset, values: &Array3<f32>, edit: fn(&mut Vec<u8>)) {
    raw(&dataset.path("bad_label.nii"), values, edit);
    with_label(dataset, "bad_label.nii");
}

fn case(dataset: &mut Dataset, image: &Array3<f32>, labels: &Array3<u16>, affine: Affine) {
    dataset.image("bad", image, affine);
    dataset.label("bad", labels, affine);
    dataset.list("bad");
}

fn moved(axis: usize, mm: f64) -> Affine {
    let mut affine = IDENTITY;
    affine.0[axis][3] = mm;
    affine
}

fn real_labels() -> Array3<f32> {
    labels().mapv(f32::from)
}

fn two_channels(dataset: &mut Dataset, second: &Array3<f32>, affine: Affine) {
    dataset.image("bad", &image(50), IDENTITY);
    dataset.image("second", second, affine);
    dataset.label("bad", &labels(), IDENTITY);
    dataset.item(json!({"image": ["bad.nii.gz", "second.nii.gz"], "label": "bad_label.nii.gz"}));
}

fn with_voxel(value: f32) -> Array3<f32> {
    let mut image = image(50);
    image[[3, 4, 5]] = value;
    image
}

pub const ROWS: &[Row] = &[
    ("no image file", MissingFile, Error, "bad", |d| {
        with_image(d, "bad.nii.gz");
    }),
    ("no label file", MissingFile, Error, "bad", |d| {
        with_label(d, "bad_label.nii.gz");
    }),
    ("neither file", MissingFile, Error, "bad", |d| d.list("bad")),
    ("a header without voxels", MissingFile, Error, "bad", |d| {
        raw(&d.path("bad.nii"), &image(50), |bytes| {
            bytes.truncate(348);
            bytes[344..348].copy_from_slice(b"ni1\0");
        });
        fs::rename(d.path("bad.nii"), d.path("bad.hdr")).unwrap();
        with_image(d, "bad.hdr");
    }),
    ("text as image", UnreadableFile, Error, "bad", |d| {
        fs::write(d.path("bad.nii.gz"), b"no image at all").unwrap();
        with_image(d, "bad.nii.gz");
    }),
    ("text as label map", UnreadableFile, Error, "bad", |d| {
        fs::write(d.path("bad_label.nii.gz"), b"no label map at all").unwrap();
        with_label(d, "bad_label.nii.gz");
    }),
    ("empty file", UnreadableFile, Error, "bad", |d| {
        fs::write(d.path("bad.nii.gz"), b"").unwrap();
        with_image(d, "bad.nii.gz");
    }),
    ("half of a gzip stream", UnreadableFile, Error, "bad", |d| {
        good(d);
        let bytes = fs::read(d.path("bad.nii.gz")).unwrap();
        fs::write(d.path("bad.nii.gz"), &bytes[..bytes.len() / 2]).unwrap();
    }),
    (
        "a gzip stream with a wrong checksum",
        UnreadableFile,
        Error,
        "bad",
        |d| {
            good(d);
            let mut bytes = fs::read(d.path("bad.nii.gz")).unwrap();
            let checksum = bytes.len() - 8;
            bytes[checksum] ^= 1;
            fs::write(d.path("bad.nii.gz"), &bytes).unwrap();
        },
    ),
    ("voxels that end early", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| bytes.truncate(2000));
    }),
    ("a folder as image", UnreadableFile, Error, "bad", |d| {
        fs::create_dir(d.path("bad.nii.gz")).unwrap();
        with_image(d, "bad.nii.gz");
    }),
    ("colors", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| put_i16(bytes, 70, 128));
    }),
    ("complex numbers", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| put_i16(bytes, 70, 32));
    }),
    ("an unknown type", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| put_i16(bytes, 70, 999));
    }),
    (
        "an axis without voxels",
        UnreadableFile,
        Error,
        "bad",
        |d| {
            edited_image(d, |bytes| put_i16(bytes, 42, 0));
        },
    ),
    ("nine dimensions", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| put_i16(bytes, 40, 9));
    }),
    (
        "voxels within the header",
        UnreadableFile,
        Error,
        "bad",
        |d| {
            edited_image(d, |bytes| put_f32(bytes, 108, 16.0));
        },
    ),
    ("an affine of zeros", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| {
            put_i16(bytes, 252, 0);
            (280..328).step_by(4).for_each(|at| put_f32(bytes, at, 0.0));
        });
    }),
    ("an affine of NaN", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| {
            put_i16(bytes, 252, 0);
            put_f32(bytes, 280, f32::NAN);
        });
    }),
    ("an Analyze header", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| bytes[344..348].fill(0));
    }),
    (
        "channels along two dimensions",
        UnreadableFile,
        Error,
        "bad",
        |d| {
            edited_image(d, |bytes| {
                let voxels = bytes[352..].repeat(3);
                bytes.extend(voxels);
                put_i16(bytes, 40, 5);
                put_i16(bytes, 48, 2);
                put_i16(bytes, 50, 2);
            });
        },
    ),
    (
        "a label map of two frames",
        UnreadableFile,
        Error,
        "bad",
        |d| {
            edited_label(d, &real_labels(), |bytes| {
                bytes.extend_from_within(352..);
                put_i16(bytes, 40, 4);
                put_i16(bytes, 48, 2);
            });
        },
    ),
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
    (
        "labels between numbers",
        NonIntegerLabels,
        Error,
        "bad",
        |d| {
            edited_label(d, &real_labels().mapv(|label| label * 0.75), |_| {});
        },
    ),
    ("labels that are NaN", NonIntegerLabels, Error, "bad", |d| {
        edited_label(
            d,
            &real_labels().mapv(|label| if label > 1.0 { f32::NAN } else { label }),
            |_| {},
        );
    }),
    (
        "labels that scaling makes fractions",
        NonIntegerLabels,
        Error,
        "bad",
        |d| {
            edited_label(d, &real_labels(), |bytes| put_f32(bytes, 112, 0.5));
        },
    ),
    ("labels below 0", NegativeLabels, Error, "bad", |d| {
        edited_label(d, &real_labels().mapv(|label| -label), |_| {});
    }),
    (
        "labels beyond 16 bits",
        UnexpectedLabels,
        Error,
        "bad",
        |d| {
            edited_label(d, &real_labels().mapv(|label| 70_000.0 * label), |_| {});
        },
    ),
    (
        "labels without a name",
        UnexpectedLabels,
        Error,
        "bad",
        |d| {
            good(d);
            d.label("bad", &labels().mapv(|label| 3 * label), IDENTITY);
        },
    ),
    ("a mask of 255", UnexpectedLabels, Error, "bad", |d| {
        good(d);
        d.label(
            "bad",
            &labels().mapv(|label| if label > 0 { 255 } else { 0 }),
            IDENTITY,
        );
    }),
    ("two channels", ChannelCountDiffers, Error, "bad", |d| {
        two_channels(d, &image(51), IDENTITY);
    }),
    (
        "two channels in a file",
        ChannelCountDiffers,
        Error,
        "bad",
        |d| {
            edited_image(d, |bytes| {
                bytes.extend_from_within(352..);
                let last = bytes.len() - 4;
                put_f32(bytes, last, 9.0);
                put_i16(bytes, 40, 4);
                put_i16(bytes, 48, 2);
            });
        },
    ),
    ("one intensity", ConstantImage, Error, "bad", |d| {
        case(d, &image(50).mapv(|_| 7.0), &labels(), IDENTITY);
    }),
    ("zeros", ConstantImage, Error, "bad", |d| {
        case(d, &image(50).mapv(|_| 0.0), &labels(), IDENTITY);
    }),
    (
        "a constant second channel",
        ConstantImage,
        Error,
        "bad",
        |d| {
            two_channels(d, &image(51).mapv(|_| 1.0), IDENTITY);
        },
    ),
    ("NaN", NonFiniteImage, Error, "bad", |d| {
        case(d, &with_voxel(f32::NAN), &labels(), IDENTITY);
    }),
    ("infinity", NonFiniteImage, Error, "bad", |d| {
        case(d, &with_voxel(f32::NEG_INFINITY), &labels(), IDENTITY);
    }),
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
