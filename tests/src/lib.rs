//! The harness of demo and tests: builds the three programs, makes a phantom dataset, runs commands, scores outputs.
//!
//! Everything goes through files and processes, as it does for a user: no training library is in this crate's graph.

pub mod dataset;
pub mod programs;
pub mod score;
