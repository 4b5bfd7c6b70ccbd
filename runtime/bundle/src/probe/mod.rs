//! The probe, `probe.json`: inputs from a seed with the expected outputs of the networks, so that a bundle can be
//! verified on any machine.

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
