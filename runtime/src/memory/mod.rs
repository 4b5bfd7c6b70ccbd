//! Memory that a run may take, and whether it suffices.

pub(crate) mod error;
pub(crate) mod plan;
mod size;

pub use self::error::{Limit, MemoryError};
pub use self::plan::MemoryRecord;
pub(crate) use self::plan::{MemoryPlan, check};
pub use self::size::parse_size;
