//! The manifest, `manifest.json`: what a bundle holds and where it came from.

mod document;
mod error;
mod files;
mod limits;
mod member;
mod read;
mod rules;
mod version_1;

pub use crate::ensemble_record::{EnsembleRecord, Selection, SelectionRule};
pub use document::{Manifest, NetworkInterface, Provenance};
pub use error::ManifestError;
pub use files::FileEntry;
pub use limits::{FILE_NAME, MAX_ENTRY_BYTES, MAX_FILES, MAX_MEMBERS, MAX_VERSION_CHARACTERS};
pub use member::{Member, MemberProvenance};
pub use rules::check_version;
