//! DICOM: slices of CT, MR, PET and 3D X-ray, one in a file or many, as volumes.
//!
//! [`scan`] looks at files and gives stacks; [`Stack::assess`] says what volume a stack makes and grades it;
//! [`Assessment::read`] reads it. [`read_structures`] reads regions that are drawn as contours, and
//! [`read_structure_references`] on which images. World space leaves here as RAS+ millimeters: DICOM's own LPS ends in
//! this module.
//!
//! The walk over a data set is this module's own, without recursion and with every length held against the file, and
//! only attributes that are asked for are read; of those that name a patient digests are kept, to tell patients apart.
//! A file whose header is damaged refuses the stacks of its series rather than leaving a hole in them; where its series
//! is unknown, the stacks that have slices beside it.
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
pub use error::{DicomError, HeaderError, PixelError, StructureError};
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
