//! Segments 3-D medical images with a deployed bundle: the commands of `vesal` as functions.
//!
//! Each command is a function of options that gives a typed result: [`predict()`], [`evaluate()`], [`inspect()`],
//! [`convert()`], [`verify()`], [`bench()`], [`tune()`], [`devices()`], [`setup()`], and [`serve`] for a DICOM node.
//! Progress is reported to an [`Observer`]; `()` ignores it. Nothing here prints or exits the process.
//!
//! The command line of the program `vesal` is derived from the options, so that a flag's name, default and help are
//! beside the field; callers fill in the fields and do not need clap.
//!
//! ```no_run
//! use vesal::predict::PredictOptions;
//!
//! let options = PredictOptions::new("spleen-1.2.0", ["scan.nii.gz"], "results");
//! let record = vesal::predict(&options, &())?.into_result()?;
//! for case in &record.cases {
//!     println!("{}: {:?}", case.case, case.outcome);
//! }
//! # Ok::<(), vesal::Error>(())
//! ```

// Only the program prints.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod bench;
pub mod convert;
pub mod devices;
pub mod document;
pub mod error;
pub mod evaluate;
pub mod inspect;
pub mod machine;
pub mod memory;
pub mod observe;
pub mod options;
pub mod outputs;
mod peak_memory;
pub mod predict;
pub mod process_age;
pub mod profile;
pub mod reason;
pub mod record;
pub mod serve;
pub mod setup;
mod threads;
mod trust;
pub mod tune;
pub mod verify;

pub use bench::bench;
pub use convert::convert;
pub use devices::devices;
pub use error::Error;
pub use evaluate::evaluate;
pub use inspect::inspect;
pub use observe::Observer;
pub use predict::predict;
pub use reason::reason;
pub use setup::setup;
pub use tune::tune;
pub use verify::verify;
pub use vesal_cases as cases;
