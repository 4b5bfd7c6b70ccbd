//! Cases: their files and the reading of these.
//!
//! A case is one subject at one time: images, and for training and evaluation a label map. Datalists, folders and DICOM
//! files lead to cases; [`vesal_volume::Geometry::check_same_grid`] decides for analysis, training, prediction and
//! evaluation whether images share a grid.

mod candidate;
mod checked;
pub mod datalist;
mod files;
mod find;
mod folder;
mod grid;
mod names;
mod series;
pub mod skipped;

pub use candidate::{Candidate, CaseInput, FindError, Found};
pub use checked::{Assessed, CheckedCase, Images, Origin, ReadError};
pub use files::{CaseFiles, FilesError, OpenCase, read_channels};
pub use find::{find, find_listed};
pub use folder::images_in;
pub use grid::GridError;
pub use series::choosing::{Choosing, ChosenSeries, Which};
pub use series::error::SeriesError;
pub use series::names as stack_names;
