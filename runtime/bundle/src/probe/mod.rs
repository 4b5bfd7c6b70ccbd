//! The probe, `probe.json`: inputs made from a seed and what the networks answer to them, so that a bundle can prove
//! itself on any machine.

mod document;
mod error;
mod input;
mod labels;
mod read;
mod record;
mod version_1;

pub use document::{FILE_NAME, LogitSample, MemberProbe, Probe, ProbeGroup, Tolerance};
pub use error::ProbeError;
pub use input::{InputGenerator, ProbeInput};
pub use labels::ExpectedLabels;
pub use record::ProbeRecorder;
