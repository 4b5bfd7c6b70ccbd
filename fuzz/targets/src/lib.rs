//! Fuzz targets.
//!
//! A [`Target`] is a function of bytes that must return, for any input: it may neither panic nor exceed the limits of
//! time and memory for a file of that size. `fuzz/fuzz_targets` hands each to libFuzzer; `tests/replay.rs` runs all of
//! them over their seeds and over what fuzzing has found, on any toolchain.

mod bundle;
#[cfg(feature = "training")]
mod checkpoint;
mod compressed;
mod dicom;
#[cfg(feature = "training")]
mod history;
mod image;
#[path = "../../../runtime/io/tests/dicom_files/mod.rs"]
mod made;
mod metaimage;
#[cfg(feature = "training")]
mod monai;
mod nifti;
mod node;
mod nrrd;
mod onnx;
mod scratch;
mod target;

pub use compressed::Wrapping;
pub use target::Target;

/// Targets of the runtime.
const RUNTIME: &[Target] = &[
    dicom::INSTANCE,
    dicom::SERIES,
    dicom::CODEC,
    dicom::STRUCTURES,
    dicom::DIRECTORY,
    nifti::VOLUME,
    nrrd::VOLUME,
    metaimage::VOLUME,
    node::PDU,
    node::SESSION,
    bundle::DOCUMENTS,
    bundle::FOLDER,
    onnx::NETWORK,
];

/// Targets of trainer and exporter, which depend on Burn.
#[cfg(feature = "training")]
const TRAINING: &[Target] = &[
    checkpoint::PICKLE,
    checkpoint::ARCHIVE,
    monai::CONFIGURATION,
    history::HISTORY,
];
#[cfg(not(feature = "training"))]
const TRAINING: &[Target] = &[];

pub fn targets() -> impl Iterator<Item = &'static Target> {
    RUNTIME.iter().chain(TRAINING)
}
