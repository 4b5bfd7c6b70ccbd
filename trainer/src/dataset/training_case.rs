//! Files of a case for training.

use std::path::PathBuf;

/// The part of a datalist's case that training needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingCase {
    /// Name for reports, without identifying content.
    pub id: String,
    /// One file per channel on the first grid, in the plan's channel order; or a single file that holds all of them.
    pub images: Vec<PathBuf>,
    /// Secondary images, each a channel on a grid of its own, in the plan's channel order.
    pub further: Vec<PathBuf>,
    /// Label map on the grid of `images`.
    pub label: PathBuf,
    /// Fold in which the case is held out for validation.
    pub fold: usize,
}
