//! A node and its peers.

#[path = "../../../io/tests/dicom_files/mod.rs"]
mod dicom_files;
#[path = "../support/mod.rs"]
mod support;

mod conformance;
mod crowded;
mod delivery;
mod hostile;
mod sources;
