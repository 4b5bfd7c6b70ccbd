//! Cases: which files belong to one, and what they hold.

mod find;
mod grid;
#[cfg(test)]
mod mixed;
mod read;
mod series;

pub use find::{Candidate, FindError, Input, find, find_listed, images_in};
pub use read::{Assessed, Checked, Images, Origin, ReadError};
pub use series::{Choosing, ChosenSeries, SeriesError, names};
