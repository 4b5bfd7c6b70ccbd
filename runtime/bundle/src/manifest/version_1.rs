//! Version 1 of the manifest: one deploy plan for all members.

use std::collections::BTreeMap;

use serde::Deserialize;
use vesal_files::document::VersionedDocument;

use super::document::{Manifest, NetworkInterface, Provenance};
use super::files::{self, FileEntry};
use super::member::{Member, MemberProvenance};

use crate::ensemble_record::EnsembleRecord;

/// `manifest.json` of version 1.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ManifestVersion1 {
    name: String,
    #[serde(default)]
    version: Option<String>,
    deploy_plan: String,
    probe: String,
    network: NetworkInterface,
    members: Vec<MemberVersion1>,
    #[serde(default)]
    ensemble: EnsembleRecord,
    provenance: Provenance,
    #[serde(deserialize_with = "files::unique_files")]
    files: BTreeMap<String, FileEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberVersion1 {
    file: String,
    weight: f64,
    provenance: MemberProvenance,
}

impl VersionedDocument for ManifestVersion1 {
    const FORMAT: &str = Manifest::FORMAT;
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = Manifest::MAX_BYTES;
}

impl From<ManifestVersion1> for Manifest {
    fn from(old: ManifestVersion1) -> Self {
        let member = |member: MemberVersion1| Member {
            file: member.file,
            deploy_plan: old.deploy_plan.clone(),
            weight: member.weight,
            provenance: member.provenance,
        };
        Self {
            name: old.name,
            version: old.version,
            probe: old.probe,
            network: old.network,
            members: old.members.into_iter().map(member).collect(),
            ensemble: old.ensemble,
            provenance: old.provenance,
            files: old.files,
        }
    }
}
