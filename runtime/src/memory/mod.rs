//! Memory limits of a run, and the check against them.

pub(crate) mod error;
pub(crate) mod plan;
mod size;

pub use self::error::{Limit, MemoryError};
pub use self::plan::MemoryRecord;
pub(crate) use self::plan::{MemoryPlan, check};
pub use self::size::parse_size;
