//! Files that are truncated or damaged anywhere give reasons, never a panic.

use crate::synthetic;
use std::fs;

use crate::dicom_files::reading::reasons;
use crate::dicom_files::*;
use tempfile::tempdir;
use vesal_io::dicom::{DicomHeaderError, SkipReason, scan};

#[test]
fn files_cut_off_anywhere_give_reasons() {
    let folder = tempdir().unwrap();
    for syntax in [EXPLICIT, IMPLICIT, BIG, DEFLATED] {
        let whole = image().numbers((0x0018, 0x0050), &[1.]).file(syntax);
        for length in 0..whole.len() {
            let path = save(folder.path(), "cut", &whole[..length]);
            let found = scan(&[&path]).unwrap();
            // The end of a deflate stream tells nothing that the elements do not.
            let [only] = &found.skipped[..] else {
                assert!(
                    syntax == DEFLATED && length + 8 > whole.len(),
                    "{syntax} {length}"
                );
                continue;
            };
            assert!(
                matches!(
                    only.reason,
                    SkipReason::Blank
                        | SkipReason::NotDicom
                        | SkipReason::NoPixels
                        | SkipReason::Class { .. }
                        | SkipReason::Defect(
                            DicomHeaderError::Truncated { .. }
                                | DicomHeaderError::Deflate { .. }
                                | DicomHeaderError::Missing { .. }
                                | DicomHeaderError::PixelBytes { .. }
                        )
                ),
                "{syntax} {length}: {}",
                only.reason
            );
        }
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let folder = tempdir().unwrap();
    let mut state = 12345_u32;
    let mut random = move |below: usize| {
        // Numerical Recipes' generator; its upper bits are good enough here.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut files: Vec<Vec<u8>> = [EXPLICIT, IMPLICIT, BIG, DEFLATED]
        .map(|syntax| image().numbers((0x0018, 0x0050), &[1.]).file(syntax))
        .to_vec();
    let mut rounds = vec![200; files.len()];
    if let Some(shared) = synthetic::shared_data("dicom/transfer_syntax") {
        for entry in fs::read_dir(shared).unwrap() {
            files.push(fs::read(entry.unwrap().path()).unwrap());
            rounds.push(12);
        }
    }
    for (whole, rounds) in files.iter().zip(rounds) {
        for round in 0..rounds {
            let mut bytes = whole.clone();
            // Half of them in the first 4 KiB behind the preamble: headers, also those of compressed frames.
            let span = if round % 2 == 0 {
                bytes.len()
            } else {
                bytes.len().min(4096)
            };
            for _ in 0..1 + random(4) {
                let at = 132 + random(span - 132);
                bytes[at] = random(256) as u8;
            }
            reasons(&save(folder.path(), "damaged", &bytes));
        }
    }
}
