//! Scans and reads synthetic series.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;

use tempfile::{TempDir, tempdir};
use vesal_io::dicom::{
    Assessment, DicomError, DicomHeaderError, DicomScan, Grade, Policy, SkipReason, Stack,
    StackFinding, scan,
};
use vesal_io::image::ReadLimits;
use vesal_volume::Volume;

use super::*;

pub fn folder(images: &[Elements]) -> (TempDir, DicomScan) {
    let folder = tempdir().unwrap();
    save_all(folder.path(), images, EXPLICIT);
    let found = look(folder.path());
    (folder, found)
}

pub fn look(folder: &Path) -> DicomScan {
    let found = scan(&[folder]).unwrap();
    let told = format!("{found:?}");
    assert!(!told.contains(SENTINEL) && !told.contains("SENTINEL"));
    found
}

pub fn assess(stack: &Stack, policy: Policy) -> Assessment {
    let assessment = stack.assess(policy).unwrap();
    assert_eq!(
        assessment.refusal().is_some(),
        assessment.grade() == Grade::Refused
    );
    assert_eq!(
        assessment.geometry().is_none(),
        assessment.grade() == Grade::Refused
    );
    assessment
}

pub fn read(assessment: &Assessment) -> Volume {
    let volume = assessment.read(&ReadLimits::default()).unwrap();
    assert_eq!(assessment.geometry(), Some(volume.geometry()));
    volume
}

/// The volume of the only stack, which has no findings.
pub fn plain(images: &[Elements]) -> Volume {
    let (_folder, found) = folder(images);
    assert_eq!((found.stacks.len(), found.skipped.len()), (1, 0));
    let assessment = assess(&found.stacks[0], Policy::Strict);
    assert_eq!(
        (assessment.grade(), assessment.findings()),
        (Grade::Ok, &[][..])
    );
    read(&assessment)
}

/// Why the only stack is refused under a policy.
pub fn refusal(images: &[Elements], policy: Policy) -> StackFinding {
    let (_folder, found) = folder(images);
    assert_eq!(found.stacks.len(), 1);
    let assessment = assess(&found.stacks[0], policy);
    let error = assessment.read(&ReadLimits::default()).unwrap_err();
    assert!(matches!(error, DicomError::Refused { .. }), "{error}");
    assert!(error.to_string().starts_with("series 1.2.1 is refused: "));
    assessment.refusal().unwrap().clone()
}

/// The volume of the only stack, resampled for the finding that the strict policy refuses it for.
pub fn resampled(images: &[Elements]) -> (StackFinding, Volume) {
    let (_folder, found) = folder(images);
    let assessment = assess(&found.stacks[0], Policy::Resample);
    assert_eq!(assessment.grade(), Grade::Resampled);
    let [finding] = assessment.findings() else {
        panic!("{:?}", assessment.findings());
    };
    assert!(finding.needs_resampling() && finding.hint().is_some());
    let strict = assess(&found.stacks[0], Policy::Strict);
    assert_eq!(strict.refusal(), Some(finding));
    (finding.clone(), read(&assessment))
}

/// Why the only file is skipped.
pub fn skipped(image: &Elements) -> SkipReason {
    let (_folder, mut found) = folder(std::slice::from_ref(image));
    assert_eq!((found.stacks.len(), found.skipped.len()), (0, 1));
    found.skipped.remove(0).reason
}

pub fn defect(image: &Elements) -> DicomHeaderError {
    match skipped(image) {
        SkipReason::Defect(reason) => reason,
        other => panic!("{other}"),
    }
}

/// Scans a file and reads its stacks; returns the errors.
pub fn reasons(path: &Path) -> Vec<String> {
    let found = scan(&[path]).unwrap();
    let mut reasons: Vec<String> = found
        .skipped
        .iter()
        .map(|file| file.reason.to_string())
        .collect();
    for stack in &found.stacks {
        let read = stack
            .assess(Policy::Resample)
            .and_then(|assessment| assessment.read(&ReadLimits::default()));
        if let Err(error) = read {
            reasons.push(error.to_string());
        }
    }
    reasons
}
