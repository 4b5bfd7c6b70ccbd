//! What a report shows beyond what is in the work directory.

use crate::device::TrainDevices;

/// What to show beyond what is in the work directory.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// How many of the worst cases to predict again.
    pub worst: usize,
    /// Where to predict them.
    pub devices: TrainDevices,
}
