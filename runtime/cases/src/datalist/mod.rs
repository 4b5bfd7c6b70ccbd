//! Datalists: the files of cases, in Auto3DSeg's JSON.
//!
//! [`Datalist`] is what training reads and writes: all lists, checked against the task. [`listed::read`] is one list
//! with resolved paths, for prediction and evaluation. Both read items by the same rules.

mod description;
mod error;
mod item;
pub mod listed;
mod training;

pub use description::DatasetDescription;
pub use error::{DatalistError, ItemError};
pub use item::List;
pub use training::{Case, Datalist, stem};
