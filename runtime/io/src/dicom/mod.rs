//! DICOM: slices of CT, MR, PET and 3D X-ray, one in a file or many, as volumes.
//!
//! [`scan`] reads headers and groups slices into stacks; [`Stack::assess`] determines the volume that a stack makes and
//! grades it; [`Assessment::read`] reads the volume. [`read_structures`] reads regions from contours, and
//! [`read_structure_references`] the images that they were drawn on. World coordinates are RAS+ millimeters outside of
//! this module, and DICOM's LPS only within.
//!
//! The walk over a data set is implemented here, without recursion and with every length checked against the file. Only
//! selected attributes are read; those that identify a patient are kept as digests only. A file with a damaged header
//! refuses the stacks of its series, which may lack its slices; where its series is unknown, it refuses the stacks that
//! have slices in its folder.
//!
//! **Transfer syntaxes**: implicit and explicit little endian, explicit big endian, deflated; RLE; JPEG baseline,
//! extended, progressive (8 and 12 bits) and lossless; JPEG-LS; JPEG 2000.
//!
//! **Not read**: Modality LUTs, real-valued pixels, colors, frames without functional groups; b-values in
//! private attributes.

mod assessment;
mod class;
mod codec;
mod compare;
mod content_digest;
mod dataset;
mod directory;
mod distinguishing_key;
mod elements;
mod error;
mod frame_header;
mod group;
mod image_header;
mod instance;
mod listing;
mod near;
mod patient;
mod per_frame;
mod pixel_format;
mod pixels;
mod read;
mod scale;
mod scan;
mod skipped;
mod slice;
mod slice_order;
mod stack;
mod stack_finding;
mod stack_layout;
mod stream;
mod structures;
mod syntax;
mod tag;
mod text;
mod uid;
mod unassigned;
pub mod write;

pub use assessment::{Assessment, Grade, Policy};
pub use class::IMAGE_CLASSES;
pub use codec::CodecError;
pub use content_digest::ContentDigest;
pub use distinguishing_key::DistinguishingKey;
pub use error::{DicomError, DicomHeaderError, PixelError, StructureError};
pub use image_header::StatedSeries;
pub use instance::{IMPLEMENTATION_VERSION, Instance, implementation_class, meta_information};
pub use scan::{DicomScan, scan};
pub use skipped::{SkipReason, Skipped, UnreadSeries};
pub use slice::Slice;
pub use stack::{Stack, frames_differ, patients};
pub use stack_finding::StackFinding;
pub use structures::{
    ReferencedSeries, Region, StructureReferences, Structures, read_structure_references,
    read_structures,
};
pub use syntax::TransferSyntax;
pub use tag::Tag;
