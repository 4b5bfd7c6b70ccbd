//! Cases: which files belong to one, and what they hold.

mod find;
mod grid;
mod read;
mod series;

pub use find::{Candidate, FindError, Input, find, find_listed, images_in};
pub use grid::GridError;
pub use read::{Assessed, Checked, Origin, ReadError, geometry_note};
pub use series::{ChosenSeries, SeriesError, names};
