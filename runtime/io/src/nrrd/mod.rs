//! NRRD: attached headers (`.nrrd`) and detached ones (`.nhdr` with one or several data files).
//!
//! Voxels are scalars of all integer types, `float` and `double`, in raw, gzip and text encoding. Three axes lie in
//! space; one further axis of any length may come before or after them, whose entries are the image's channels.
//!
//! World space is RAS+ millimeters: `space` defines the three numbers of `space origin` and of `space directions`, and
//! must be `right-anterior-superior`, `left-anterior-superior` or `left-posterior-superior`. A header without `space
//! directions` states no orientation; its voxel axes then point left, posterior and superior from a first voxel at the
//! origin, as in ITK.
//!
//! Data files lie in the folder of their header or below it: a header cannot name other files.
//!
//! **Source**: <https://teem.sourceforge.net/nrrd/format.html>

mod axes;
mod data;
mod error;
mod header;
mod lines;
mod names;
mod value;

pub use error::NrrdError;

use crate::image::format::Format;

pub(crate) const FORMAT: Format = Format {
    name: error::NAME,
    endings: &[".nrrd", ".nhdr"],
    part_endings: &[],
    recognizes: |head| head.starts_with(b"NRRD0"),
    open: data::open,
};
