//! Image files of any format: one scalar grid in world space, with one or several channels.
//!
//! [`ImageFile`] reads a file of every format that [`FORMATS`] lists. A format implements [`Format`]: its name, the
//! endings of its files, the recognition of its bytes, and a function that checks a header and locates the voxels.
//! Everything else is shared: voxels are decompressed and decoded block by block on the threads of the pool, so that
//! the bytes of a file never exist beside the whole array.
//!
//! A file that ends before its last voxel is an error. So is one that goes on for more than
//! [`TRAILING_BYTES_MAX`] after it: either its header or its content is wrong.

pub(crate) mod affine;
pub(crate) mod blocks;
pub(crate) mod data_files;
pub(crate) mod decode;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod format;
pub(crate) mod formats;
pub(crate) mod header;
pub(crate) mod intensities;
pub(crate) mod parts;
pub(crate) mod read;
pub(crate) mod stream;
pub(crate) mod text;

pub use affine::AffineDefect;
pub use data_files::DataFilesError;
pub use error::{HeaderDefect, HeaderProblem, ImageError, LabelError, VoxelError};
pub use file::{ImageFile, read_channels, read_header, read_label_map, read_volume};
pub use format::{Believe, Format, OpenOptions};
pub use formats::{
    FORMATS, case_name, described_formats, endings, format_names, has_ending, without_ending,
};
pub use header::{ByteOrder, DataType, IntensityScaling, VolumeHeader};
pub use intensities::Intensities;
pub use read::ReadLimits;
pub use stream::TRAILING_BYTES_MAX;
