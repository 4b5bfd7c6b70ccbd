//! Version 1 of the probe: one window for all members.

use serde::Deserialize;
use vesal_files::VersionedDocument;

use super::document::{MemberProbe, Probe, ProbeGroup, Tolerance};
use super::input::ProbeInput;
use super::labels::ExpectedLabels;

/// `probe.json` of version 1.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProbeVersion1 {
    input: ProbeInput,
    members: Vec<MemberProbe>,
    labels: ExpectedLabels,
    tolerance: Tolerance,
}

impl VersionedDocument for ProbeVersion1 {
    const FORMAT: &str = Probe::FORMAT;
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = Probe::MAX_BYTES;
}

impl From<ProbeVersion1> for Probe {
    fn from(old: ProbeVersion1) -> Self {
        Self {
            groups: vec![ProbeGroup {
                input: old.input,
                members: old.members,
                labels: old.labels,
            }],
            tolerance: old.tolerance,
        }
    }
}
