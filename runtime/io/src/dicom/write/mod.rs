//! Writes results as DICOM: segmentations, structure sets and reports of volumes.
//!
//! [`SourceImages`] are the images that a result refers to, [`SegmentedMap`] is the result, [`AlgorithmIdentification`]
//! what created it. UIDs of a result are made of a digest of all of its content except the time: the source's slices,
//! the attributes that are copied from them, grid and grade, segments and their voxels, algorithm, settings and version
//! of this program. The same input gives the same UIDs every time, and different results never share a UID. Patient and
//! study are copied from the source into the files, byte for byte, and appear nowhere else.
//!
//! Planes, directions and positions are computed from the affine of the label map. Where its grid is that of the
//! source, in any order and direction of axes, planes are those of the source and refer to its instances.

mod algorithm;
mod catalog;
mod code;
mod color;
mod contour;
mod copied;
mod derivation;
mod elements;
mod error;
mod frames;
mod grid;
mod identity;
mod output;
mod planes;
mod report;
mod rle;
mod segment;
mod segmentation;
mod source_images;
mod structures;
pub(super) mod uid;

pub use algorithm::{AlgorithmIdentification, Moment};
pub use code::Code;
pub use error::{DicomWriteError, Unwritable};
pub use identity::{Reference, ResultOptions};
pub use report::write_report;
pub use segment::{Segment, SegmentedMap};
pub use segmentation::{SegmentationType, write_segmentation};
pub use source_images::SourceImages;
pub use structures::write_structures;
pub use uid::{KEY_BYTES_MIN, UidKey};

/// Classes of the objects that are written: segmentations, label maps, structure sets, reports.
pub const RESULT_CLASSES: [&str; 4] = [
    segmentation::BINARY_CLASS,
    segmentation::LABEL_MAP_CLASS,
    structures::CLASS,
    report::CLASS,
];

/// Transfer syntaxes that they are written in.
pub const RESULT_SYNTAXES: [&str; 3] = [
    output::Syntax::Implicit.uid(),
    output::Syntax::Explicit.uid(),
    output::Syntax::Rle.uid(),
];
