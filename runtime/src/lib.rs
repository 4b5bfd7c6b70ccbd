//! Segments 3-D medical images with a deployed bundle: what the commands of `vesal` do, for callers in Rust.
//!
//! Each command is a function of options that gives a typed result: [`predict()`], [`evaluate()`], [`inspect()`],
//! [`convert()`], [`verify()`], [`bench()`], [`tune()`], [`devices()`], [`setup()`], and [`serve`] for a DICOM node. What
//! goes on meanwhile is told to an [`Observer`]; the unit `()` is one that does not listen. Nothing here prints or ends
//! the process.
//!
//! Options derive the command line of the program `vesal`, so that a flag's name, default and help stand beside the
//! field; callers fill in the fields and need nothing of clap.
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

// What is printed, the program prints.
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
