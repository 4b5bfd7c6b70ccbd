//! The deployable bundle: a directory that holds the networks of an ensemble and everything that inference needs to
//! know about the data, verifies itself with a probe, and contains no code. `FORMAT.md` beside this crate is its
//! definition.
//!
//! [`Bundle::open`] reads and checks one, [`BundleWriter`] writes one. The trainer hands its results over in a
//! [`run_record::RunRecord`].

pub mod bundle;
pub mod case_scores;
pub mod deploy_plan;
pub mod dicom_rules;
mod ensemble_record;
pub mod manifest;
pub mod name;
pub mod path;
pub mod pattern;
pub mod probe;
pub mod run_record;
pub mod signature;
pub mod work_dir;
pub mod writer;

pub use bundle::{Bundle, BundleError, MemberGroup};
pub use deploy_plan::DeployPlan;
pub use dicom_rules::DicomRules;
pub use manifest::Manifest;
pub use probe::Probe;
pub use signature::Demands;
pub use writer::{BundleWriteError, BundleWriter};
