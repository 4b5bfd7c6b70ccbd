//! Bundles: how they are written, read, signed and refused.

#[path = "../example/mod.rs"]
mod example;

mod attacks;
mod dicom_rules;
mod plans;
mod schema;
mod signature;
mod write_and_open;
