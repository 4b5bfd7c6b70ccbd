//! A scan as a DICOM series.

use std::fs;
use std::path::Path;

use vesal_volume::Volume;

use crate::dicom_files::{COLUMNS, EXPLICIT, ORIENTATION, ROWS, SPACING, image, save_all};
use crate::dicom_files::{Elements, FRAME_OF_REFERENCE, INTERCEPT, MR, SERIES, SLOPE, SOP_CLASS};

/// Gray value of an intensity, in steps of 1/4096.
const STEPS: f32 = 4096.0;

/// Parameters of a series.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub study: &'a str,
    pub series: &'a str,
    pub number: &'a str,
    pub description: &'a str,
    pub frame_of_reference: &'a str,
}

impl Default for About<'_> {
    fn default() -> Self {
        Self {
            study: "1.2",
            series: "1.2.1",
            number: "4",
            description: "made up",
            frame_of_reference: "1.2.9",
        }
    }
}

/// Oblique MR slices of the scan; its third axis is that of the slices.
pub fn slices(volume: &Volume, about: About) -> Vec<Elements> {
    let (_, columns, rows, count) = volume.data.dim();
    let (sin, cos) = 0.3_f64.sin_cos();
    (0..count)
        .map(|k| {
            let pixels: Vec<u16> = (0..rows)
                .flat_map(|j| (0..columns).map(move |i| (i, j)))
                .map(|(i, j)| (volume.data[[0, i, j, k]] * STEPS).round() as i16 as u16)
                .collect();
            let up = 2.5 * k as f64;
            image()
                .text(SOP_CLASS, b"UI", MR)
                .text(
                    (0x0008, 0x0018),
                    b"UI",
                    &format!("{}.{}", about.series, 100 + k),
                )
                .text((0x0008, 0x0060), b"CS", "MR")
                .text((0x0008, 0x103e), b"LO", about.description)
                .text((0x0020, 0x000d), b"UI", about.study)
                .text(SERIES, b"UI", about.series)
                .text((0x0020, 0x0011), b"IS", about.number)
                .text(FRAME_OF_REFERENCE, b"UI", about.frame_of_reference)
                .numbers(ORIENTATION, &[cos, sin, 0.0, -sin, cos, 0.0])
                .at([10.0, 20.0, up - 30.0])
                .numbers(SPACING, &[1.25, 1.5])
                .short(ROWS, rows as u16)
                .short(COLUMNS, columns as u16)
                .text(SLOPE, b"DS", &(1.0 / f64::from(STEPS)).to_string())
                .text(INTERCEPT, b"DS", "0")
                .pixels(&pixels)
        })
        .collect()
}

#[allow(dead_code, reason = "not every test file needs them on the disk")]
pub fn write(folder: &Path, images: &[Elements]) {
    fs::create_dir_all(folder).expect("made");
    save_all(folder, images, EXPLICIT);
}
