//! The number of instances that a source states.

/// The number of instances of a job that a source states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceCount {
    /// Number of instances that it states.
    pub expected: usize,
    /// Number of received instances then, as in [`HeldInstances`](crate::queue::HeldInstances).
    pub instances: usize,
    /// Number of the next instance then; the statement holds until that one comes.
    pub next: u64,
}

impl SourceCount {
    /// Whether as many instances were here as the source has.
    pub fn agrees(&self) -> bool {
        self.expected == self.instances
    }
}
