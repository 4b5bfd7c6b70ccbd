//! DICOM: reading, grouping and writing.

#[path = "../dicom_files/mod.rs"]
mod dicom_files;
#[path = "../peers/mod.rs"]
mod peers;
#[path = "../slices/mod.rs"]
mod slices;
#[path = "../synthetic/mod.rs"]
mod synthetic;

mod bare;
mod by_others;
mod codecs;
mod damage;
mod frames;
mod geometry;
mod grouping;
mod identity;
mod instance;
mod places;
mod provenance;
mod real;
mod results;
mod structures;
mod texts;
mod unassigned;
mod values;
mod write;
