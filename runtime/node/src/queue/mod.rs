//! The queue: folders and small files, so that a node that dies at any moment resumes where it was.
//!
//! The state of a job is its `job.json`; everything else in its folder is either named there, or can be made again, or
//! is waiting to be added. Every change is one rename of a file that is on the disk already, after the changes that it
//! relies on.

mod admit;
mod count;
mod deliver;
mod digest;
mod digest_key;
mod durable_files;
mod instance;
mod job;
mod job_entry;
mod job_folder;
mod job_index;
mod job_queue;
mod look;
mod open;
mod open_error;
mod orphan;
mod pause;
mod predict;
mod service_digest;
mod settle;
mod source_count;
mod tidy;
mod view;

pub use admit::{Admission, AdmissionError};
pub use count::{HeldInstances, UnsettledJob};
pub use deliver::{PriorSend, SendOutcome, SendTicket};
pub(crate) use digest::is_digest;
pub use digest::{JobKey, digest, hexadecimal};
pub use instance::ReceivedInstance;
pub use job::{IncompleteReason, JobRecord, JobState};
pub use job_queue::JobQueue;
pub use open_error::OpenError;
pub use predict::{RunOutcome, RunTicket};
pub use source_count::SourceCount;
pub use view::JobView;

#[cfg(test)]
mod tests;
