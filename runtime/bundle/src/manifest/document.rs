//! The fields of the manifest and its rules.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use vesal_files::document::{self, VersionedDocument};

use super::error::ManifestError;
use super::files::{self, FileEntry};
use super::limits::{FILE_NAME, MAX_ENTRY_BYTES, MAX_FILES, MAX_MEMBERS};
use super::member::Member;
use super::rules::{check_version, count, digest_form};
use crate::ensemble_record::EnsembleRecord;
use crate::{name, path, signature};

/// Provenance of the bundle as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Versions of the programs and libraries that exported it, by name.
    pub versions: BTreeMap<String, String>,
    /// SHA-256 of the data stats of the plan; null for imported networks.
    pub data_stats_sha256: Option<String>,
}

/// The common interface of all ONNX networks of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkInterface {
    /// ONNX operator set of the default domain.
    pub opset: i64,
    /// Name of the input, `[N, C, X, Y, Z]` with static C, X, Y, Z and free N.
    pub input: String,
    /// Name of the output, `[N, K, X, Y, Z]` logits.
    pub output: String,
}

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name of the task.
    pub name: String,
    /// Version given by its makers, such as `1.2.0`, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Path of the probe.
    pub probe: String,
    /// Common interface of the networks.
    pub network: NetworkInterface,
    /// Networks, with the weights of their probabilities or votes.
    pub members: Vec<Member>,
    /// How their predictions are combined, and how they were chosen.
    #[serde(default)]
    pub ensemble: EnsembleRecord,
    pub provenance: Provenance,
    /// Every file of the bundle except the manifest itself, by relative path with forward slashes.
    #[serde(deserialize_with = "files::unique_files")]
    pub files: BTreeMap<String, FileEntry>,
}

impl VersionedDocument for Manifest {
    const FORMAT: &str = "vesal-bundle";
    const VERSION: u32 = 2;
    const MAX_BYTES: u64 = 4 << 20;
}

impl Manifest {
    /// Validates the manifest and returns the bytes of its file.
    ///
    /// **Errors**: [`ManifestError`].
    pub fn to_json(&self) -> Result<Vec<u8>, ManifestError> {
        self.validate()?;
        Ok(document::to_json(self, FILE_NAME)?)
    }

    /// Checks every rule of the format that the types do not express.
    ///
    /// **Errors**: the first rule that is broken.
    pub fn validate(&self) -> Result<(), ManifestError> {
        let named =
            |of, text: &str| name::check(text).map_err(|source| ManifestError::Name { of, source });
        named("task name", &self.name)?;
        self.version.as_deref().map_or(Ok(()), check_version)?;
        named("input name", &self.network.input)?;
        named("output name", &self.network.output)?;
        if self.network.opset < 1 {
            return Err(ManifestError::Opset {
                found: self.network.opset,
            });
        }
        count("members", self.members.len(), 1, MAX_MEMBERS)?;
        count("files", self.files.len(), 1, MAX_FILES)?;
        self.validate_files()?;
        self.validate_roles()?;
        self.members.iter().try_for_each(Member::validate)?;
        self.ensemble.validate()?;
        match &self.provenance.data_stats_sha256 {
            Some(digest) => digest_form(|| "the data stats".into(), digest),
            None => Ok(()),
        }
    }

    /// Paths of the deploy plans, each once, in the order of the members that refer to them.
    pub fn deploy_plans(&self) -> Vec<&str> {
        let mut plans: Vec<&str> = Vec::new();
        for member in &self.members {
            if !plans.contains(&member.deploy_plan.as_str()) {
                plans.push(&member.deploy_plan);
            }
        }
        plans
    }

    fn validate_files(&self) -> Result<(), ManifestError> {
        let mut lowercase = BTreeMap::new();
        for (file, entry) in &self.files {
            path::check(file)?;
            let own = [FILE_NAME, signature::FILE_NAME];
            if let Some(own) = own.into_iter().find(|own| file.eq_ignore_ascii_case(own)) {
                return Err(ManifestError::ListsItself { file: own });
            }
            if let Some(first) = lowercase.insert(file.to_ascii_lowercase(), file) {
                return Err(ManifestError::SameIgnoringCase {
                    first: first.clone(),
                    second: file.clone(),
                });
            }
            if entry.bytes > MAX_ENTRY_BYTES {
                return Err(ManifestError::FileSize {
                    file: file.clone(),
                    found: entry.bytes,
                });
            }
            digest_form(|| format!("`{file}`"), &entry.sha256)?;
        }
        Ok(())
    }

    /// Checks that the files with a role are exactly the listed files.
    fn validate_roles(&self) -> Result<(), ManifestError> {
        let mut seen = BTreeSet::new();
        let members = self
            .members
            .iter()
            .map(|member| (member.file.as_str(), "member"));
        let plans = self.deploy_plans();
        let plans = plans.into_iter().map(|plan| (plan, "deploy plan"));
        for (file, role) in plans.chain([(self.probe.as_str(), "probe")]).chain(members) {
            path::check(file)?;
            if !self.files.contains_key(file) {
                return Err(ManifestError::NotListed {
                    file: file.into(),
                    role,
                });
            }
            if !seen.insert(file) {
                return Err(ManifestError::TwoRoles {
                    file: file.into(),
                    role,
                });
            }
        }
        match self.files.keys().find(|file| !seen.contains(file.as_str())) {
            Some(file) => Err(ManifestError::NoRole { file: file.clone() }),
            None => Ok(()),
        }
    }
}
