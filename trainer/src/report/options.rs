//! Options of a report.

use crate::device::TrainDevices;

#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// Number of the worst cases to predict again.
    pub worst: usize,
    /// Devices for these predictions.
    pub devices: TrainDevices,
}
