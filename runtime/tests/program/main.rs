//! The program as a user runs it.

#[path = "../../io/tests/dicom_files/mod.rs"]
mod dicom_files;
#[path = "../../io/tests/nrrd_files/mod.rs"]
mod nrrd_files;
#[path = "../../io/tests/peers/mod.rs"]
mod peers;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/dicom.rs"]
mod support_dicom;
#[path = "../../io/tests/synthetic/mod.rs"]
mod synthetic;

mod bench_and_tune;
mod command_line;
mod convert;
mod evaluate;
mod hostile_texts;
mod inspect_and_verify;
mod inspect_dicom;
mod mixed_patients;
mod nrrd;
mod predict;
mod predict_dicom;
mod predict_dicom_peers;
mod refusals;
mod setup;
mod trust;
