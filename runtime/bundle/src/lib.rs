//! The deployable bundle.

pub mod deploy_plan;
pub mod digest;
pub mod manifest;
pub mod probe;
pub mod run_record;
