//! Analyzes a dataset, plans, trains and scores segmentation networks over k folds.
//!
//! Files of a work directory connect the stages: `analyze` writes data stats, `plan` turns them into a deploy plan and
//! a train plan, `fit` trains one fold under these plans and writes a run record.

pub mod algorithms;
pub mod analyze;
pub mod augment;
pub mod comparison;
pub mod dataset;
pub mod device;
pub mod fit;
pub mod folds;
pub mod history;
mod initial_weights;
pub mod layouts;
pub mod loss;
pub mod memory;
pub mod planner;
pub mod precision;
mod relative;
pub mod report;
pub mod rng;
pub mod schedule;
pub mod settings;
pub mod task;
pub mod train_plan;
mod upload;
pub mod validate;
pub mod work_dir;
pub mod yaml;
