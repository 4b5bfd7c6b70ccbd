//! NIfTI-1 and NIfTI-2: `.nii`, `.nii.gz` and `.hdr`/`.img` pairs, in both byte orders.
//!
//! World space is that of the header: RAS+ millimeters. The header may state two affines. The first of these is used:
//!
//! 1. the sform, if its code is 1 to 5;
//! 2. otherwise the qform, if its code is 1 to 5;
//! 3. otherwise `pixdim` alone: the voxel axes point left, anterior, superior, and the world origin is the center of
//!    the grid.
//!
//! Where both are usable and contradict each other, so that one rotates voxel axes by more than 45 degrees against the
//! other or mirrors the image, the file is refused unless the caller chooses one with
//! [`Believe`](crate::image::Believe), because left and right would be a guess.
//!
//! This is nibabel's `get_best_affine`, rule 3 included, with further differences. Where the sform is not finite or not
//! invertible, a usable qform is used instead; without one, and for every other unusable affine, it is an error. Lengths
//! that the header declares as meters or micrometers (`xyzt_units`) are converted to millimeters, where nibabel ignores
//! the unit.
//!
//! Values are `stored × scl_slope + scl_inter`, computed in `f64`; a slope of zero or without a finite value means
//! none. Voxels that are NaN or infinite stay as they are.
//!
//! Written voxels are encoded and compressed block by block as well. A compressed file is one gzip member; its bytes
//! depend on its content alone.

mod affine;
mod affine_source;
mod error;
mod fields;
mod gzip;
mod header;
mod made_header;
mod magic;
mod name;
mod output;
mod probability;
mod read;
mod rotation;
mod write;
mod write_options;

pub use ::nifti::XForm;
pub use affine_source::AffineSource;
pub use error::{NiftiError, NiftiHeaderError, NiftiWriteError};
pub use header::NiftiVolumeHeader;
pub use magic::{NiftiLayout, NiftiVersion};
pub use probability::ProbabilityFile;
pub use read::read_header;
pub use write::{write_label_map, write_regions, write_smallest, write_volume};
pub use write_options::WriteOptions;

use crate::image::format::Format;

pub(crate) const FORMAT: Format = Format {
    name: error::NAME,
    endings: &[".nii.gz", ".nii"],
    part_endings: &[".hdr.gz", ".img.gz", ".hdr", ".img"],
    recognizes: |head| magic::magic(head).is_some(),
    open: read::open,
};
