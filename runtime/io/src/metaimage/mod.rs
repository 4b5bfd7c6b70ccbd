//! MetaImage: headers with their voxels (`.mha`), and headers with data files (`.mhd`).
//!
//! Voxels are numbers of all integer types, `MET_FLOAT` and `MET_DOUBLE`, as bytes of either order, compressed with
//! zlib or not, or as text. An image has three spatial axes; a fourth axis, or the channels of each voxel, are the
//! image's channels.
//!
//! World space is RAS+ millimeters; the format's is LPS, as in ITK: rows of `TransformMatrix` are the directions of the
//! voxel axes. `CenterOfRotation` and `AnatomicalOrientation` have no effect on it.
//!
//! Data files lie in the folder of their header or below it: a header cannot name other files.
//!
//! **Source**: <https://github.com/Kitware/MetaIO>, and what ITK 5.4 reads

mod data;
mod error;
mod header;
mod lines;
mod names;

pub use error::MetaImageError;

use crate::image::format::Format;

pub(crate) const FORMAT: Format = Format {
    name: error::NAME,
    endings: &[".mha", ".mhd"],
    part_endings: &[],
    recognizes: lines::is_header,
    open: data::open,
};
