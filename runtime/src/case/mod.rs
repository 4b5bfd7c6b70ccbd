//! Cases: which files belong to one, and what they hold.

mod find;
mod grid;
mod read;

pub use find::{Candidate, FindError, find, find_listed, images_in};
pub use read::{Checked, ReadError};
