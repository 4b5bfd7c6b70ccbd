//! Labels and intensities that cannot be.

use vesal_trainer::analyze::findings::FindingKind::*;
use vesal_trainer::analyze::findings::Severity::Error;

use super::{
    IDENTITY, Row, case, edited_image, edited_label, good, real_labels, two_channels, with_voxel,
};
use crate::dataset_on_disk::{image, labels};
use crate::raw_nifti::{put_f32, put_i16};

pub const ROWS: &[Row] = &[
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
];
