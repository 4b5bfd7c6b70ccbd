//! Reading probes of all versions.

use vesal_files::document;

use super::document::{FILE_NAME, Probe};
use super::error::ProbeError;
use super::version_1::ProbeVersion1;
use crate::deploy_plan::DeployPlan;

impl Probe {
    /// Parses a probe of this version or an older one, and validates it against the deploy plans of a bundle, each with
    /// the number of members that refer to it.
    ///
    /// **Errors**: [`ProbeError`].
    pub fn from_json(bytes: &[u8], groups: &[(&DeployPlan, usize)]) -> Result<Self, ProbeError> {
        let probe = match document::version::<Self>(bytes, FILE_NAME)? {
            1 => document::parse::<ProbeVersion1>(bytes, FILE_NAME)?.into(),
            _ => document::parse::<Self>(bytes, FILE_NAME)?,
        };
        probe.validate(groups)?;
        Ok(probe)
    }
}
