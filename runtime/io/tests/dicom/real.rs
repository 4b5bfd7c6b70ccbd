//! DICOM series of scanners and of other tools; affines of hippocampus crops are those of dcm2niix v1.0.20260724.

use std::fs;
use std::path::Path;

use crate::synthetic::shared_data;
use vesal_io::dicom::{
    Assessment, DicomScan, Grade, Policy, SkipReason, StackFinding, read_structures, scan,
};
use vesal_io::image::{self, ReadLimits};
use vesal_volume::{LabelMap, Volume};

/// The only stack of a scan, under the strict policy.
fn only(scan: &DicomScan) -> Assessment {
    assert_eq!(scan.stacks.len(), 1);
    scan.stacks[0].assess(Policy::Strict).unwrap()
}

fn read(folder: &Path) -> (Assessment, Volume) {
    let assessment = only(&scan(&[folder]).unwrap());
    let volume = assessment.read(&ReadLimits::default()).unwrap();
    assert_eq!(assessment.geometry(), Some(volume.geometry()));
    (assessment, volume)
}

/// NaN where a value on either side is NaN, so that no bound allows it.
fn largest_difference(a: &Volume, b: &Volume) -> f32 {
    assert_eq!(a.data.dim(), b.data.dim());
    let differences = a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |largest, difference| {
        if difference > largest || difference.is_nan() {
            difference
        } else {
            largest
        }
    })
}

fn assert_affine(found: &Volume, expected: [[f64; 4]; 3], name: &str) {
    for (found, expected) in found
        .affine
        .0
        .iter()
        .zip(expected)
        .flat_map(|(a, b)| a.iter().zip(b))
    {
        assert!(
            (found - expected).abs() <= 1e-4,
            "{name}: {found} is not {expected}"
        );
    }
}

#[test]
fn golden_series_are_their_nifti_files() {
    let (Some(dicom), Some(nifti)) = (
        shared_data("sts/dicom/STS_001"),
        shared_data("sts/nifti/STS_001"),
    ) else {
        return;
    };
    for (name, slices) in [("CT", 59), ("PET", 59), ("MR_T1", 59)] {
        let (assessment, volume) = read(&dicom.join(name).join("image"));
        let expected = image::read_volume(nifti.join(format!("{name}_image.nii.gz"))).unwrap();
        assert_eq!(assessment.grade(), Grade::Ok);
        assert_eq!(assessment.findings(), []);
        assert_eq!(assessment.slices().len(), slices);
        let rows = std::array::from_fn(|row| expected.affine.0[row]);
        assert_affine(&volume, rows, name);
        assert!(volume.data == expected.data, "{name}");
    }
}

#[test]
fn golden_a_study_is_told_apart_and_nothing_is_silent() {
    let Some(folder) = shared_data("sts/dicom/STS_001") else {
        return;
    };
    let scan = scan(&[&folder]).unwrap();
    let modalities: Vec<&str> = scan.stacks.iter().map(|stack| stack.modality()).collect();
    assert_eq!(modalities, ["MR", "CT", "PT"]);
    assert!(scan.stacks.iter().all(|stack| stack.slices().len() == 59));
    let frames: Vec<_> = scan
        .stacks
        .iter()
        .map(|stack| stack.frame_of_reference())
        .collect();
    assert!(
        frames
            .iter()
            .all(|frame| frame.is_some() && *frame == frames[0])
    );
    assert_eq!(scan.skipped.len(), 3);
    for skipped in &scan.skipped {
        assert!(matches!(&skipped.reason, SkipReason::Class { class } if class.ends_with("481.3")));
        assert_eq!(skipped.reason.to_string(), "it is a structure set");
    }
}

#[test]
fn golden_crops_have_the_affine_of_dcm2niix() {
    let Some(folder) = shared_data("dicom/hippocrop") else {
        return;
    };
    // dcm2niix turns the rows around: their last one is its first.
    for (study, shape) in [
        ("Study1", [35, 51, 32]),
        ("Study2", [36, 48, 35]),
        ("Study3", [34, 50, 40]),
    ] {
        let (assessment, volume) = read(&folder.join(study));
        assert_eq!(assessment.grade(), Grade::Ok);
        let [x, y, z] = shape;
        assert_eq!(volume.data.dim(), (1, x, y, z));
        let last_row = 1.0 - y as f64;
        let flipped = [
            [-1.0, 0.0, 0.0, 0.0],
            [0.0, 1.0, 0.0, last_row],
            [0.0, 0.0, 1.0, 1.0],
        ];
        let mut turned = volume.clone();
        turned.affine = volume.affine.starting_at([0.0, y as f64 - 1.0, 0.0]);
        for row in &mut turned.affine.0 {
            row[1] = -row[1];
        }
        assert_affine(&turned, flipped, study);
    }
}

#[test]
fn golden_contours_are_the_masks_of_the_nifti_files() {
    let (Some(dicom), Some(nifti)) = (
        shared_data("sts/dicom/STS_001"),
        shared_data("sts/nifti/STS_001"),
    ) else {
        return;
    };
    for name in ["CT", "PET", "MR_T1"] {
        let found = read_structures(dicom.join(name).join("mask/RS.dcm")).unwrap();
        let [region] = &found.regions[..] else {
            panic!("{:?}", found.regions.len());
        };
        assert_eq!(region.name, format!("GTV_Mass_{name}"));
        let grid = scan(&[dicom.join(name).join("image")]).unwrap();
        assert_eq!(
            grid.stacks[0].frame_of_reference(),
            region.frame_of_reference.as_deref()
        );
        let mask = region.mask(&only(&grid).geometry().unwrap()).unwrap();
        let truth = image::read_label_map(nifti.join(format!("{name}_mask.nii.gz"))).unwrap();
        let count = |labels: &LabelMap| labels.data.iter().filter(|label| **label == 1).count();
        let both = mask
            .data
            .iter()
            .zip(&truth.data)
            .filter(|(a, b)| **a == 1 && **b == 1);
        let dice = 2.0 * both.count() as f64 / (count(&mask) + count(&truth)) as f64;
        println!("{name}: Dice {dice:.5}");
        assert!(dice >= 0.98, "{name}: Dice {dice}");
    }
}

#[test]
fn golden_transfer_syntaxes_decode_within_their_bounds() {
    let Some(folder) = shared_data("dicom/transfer_syntax") else {
        return;
    };
    let reference =
        folder.join("CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm");
    let (assessment, reference) = read(&reference);
    assert_eq!(
        assessment.findings(),
        [StackFinding::SingleSlice { depth_mm: 6.5 }]
    );
    assert_eq!(reference.data.dim(), (1, 512, 512, 1));
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 16);
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (_, volume) = read(&path);
        let bound = match name
            .strip_suffix(".dcm")
            .unwrap()
            .rsplit('.')
            .next()
            .unwrap()
        {
            // Two steps of 8 bits, each 32.12 HU; libjpeg comes to the same.
            "50" => 64.25,
            "51" | "53" | "55" => 36.0,
            "81" => 1.0,
            "91" => 5.0,
            _ => 0.0,
        };
        let found = largest_difference(&volume, &reference);
        println!("{name}: {found}");
        assert!(found <= bound, "{name}: {found}, expected at most {bound}");
        assert_eq!(volume.affine, reference.affine, "{name}");
    }
}
