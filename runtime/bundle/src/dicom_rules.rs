//! User-written DICOM rules: series of the channels, and codes of the labels.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::deploy_plan::{
    Activation, Channel, CodeError, DeployPlan, Label, LabelCode, PatternError,
};
use vesal_files::document::{self, DocumentError, VersionedDocument};

/// DICOM rules for a plan, by the names of its channels and labels.
///
/// ```
/// use vesal_bundle::dicom_rules::DicomRules;
///
/// let rules = DicomRules::from_json(
///     br#"{
///         "format": "vesal-dicom-rules",
///         "format_version": 1,
///         "channels": {"t1": {"series_descriptions": ["*t1*"]}}
///     }"#,
///     "rules.json",
/// )?;
/// assert_eq!(rules.channels["t1"].series_descriptions, ["*t1*"]);
/// # Ok::<(), vesal_bundle::dicom_rules::RulesError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DicomRules {
    /// By name of the channel.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<String, ChannelRules>,
    /// By name of the label or region.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, LabelCode>,
}

/// Which series a channel is read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelRules {
    /// Patterns of their descriptions, as in [`Channel::series_descriptions`]; none: any series of the modality.
    pub series_descriptions: Vec<String>,
}

/// Why rules of DICOM cannot be used.
#[derive(Debug, Error)]
pub enum RulesError {
    /// Not readable as rules of this version.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Patterns that cannot be used.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A code that cannot be used.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// Rules for a channel that the plan lacks.
    #[error(
        "there are rules for the channel `{found}`, expected one of {}",
        quoted(expected)
    )]
    Channel {
        found: String,
        /// The channels of the plan.
        expected: Vec<String>,
    },
    /// A code for a label that the plan lacks.
    #[error(
        "there is a code for the label `{found}`, expected one of {}",
        quoted(expected)
    )]
    Label {
        found: String,
        /// The labels of the plan, without background.
        expected: Vec<String>,
    },
}

impl RulesError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Document(
                DocumentError::Json { .. }
                | DocumentError::Format { .. }
                | DocumentError::Version { found: 0, .. }
                | DocumentError::TooLarge { .. },
            ) => Some(
                r#"rules begin with "format": "vesal-dicom-rules" and "format_version": 1 and have "channels", "labels" or both"#,
            ),
            Self::Document(error) => error.hint(),
            Self::Pattern(error) => Some(error.hint()),
            Self::Code(error) => Some(error.hint()),
            Self::Channel { .. } | Self::Label { .. } => {
                Some("rules must use the exact names of the plan")
            }
        }
    }
}

impl VersionedDocument for DicomRules {
    const FORMAT: &str = "vesal-dicom-rules";
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = 1 << 20;
}

impl DicomRules {
    /// Reads and checks rules.
    ///
    /// **Errors**: [`RulesError`].
    pub fn read(path: &Path) -> Result<Self, RulesError> {
        Self::validated(document::read(path)?)
    }

    /// Parses and checks rules; `name` names them in errors.
    ///
    /// **Errors**: [`RulesError`].
    pub fn from_json(bytes: &[u8], name: &str) -> Result<Self, RulesError> {
        Self::validated(document::parse(bytes, name)?)
    }

    fn validated(self) -> Result<Self, RulesError> {
        self.validate()?;
        Ok(self)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.labels.is_empty()
    }

    /// Checks every rule of the format that the types do not express.
    ///
    /// **Errors**: the first rule that is broken.
    pub fn validate(&self) -> Result<(), RulesError> {
        for (channel, rules) in &self.channels {
            Channel::check_patterns(channel, &rules.series_descriptions)?;
        }
        for (label, code) in &self.labels {
            code.check(label)?;
        }
        Ok(())
    }

    /// Checks that every code is for one of these labels, and none for background.
    ///
    /// **Errors**: [`RulesError::Label`], [`CodeError::Background`].
    pub fn check_labels(&self, labels: &[Label], activation: Activation) -> Result<(), RulesError> {
        let (background, foreground) =
            labels.split_at(usize::from(activation == Activation::Softmax).min(labels.len()));
        for found in self.labels.keys() {
            if foreground.iter().any(|label| label.name == *found) {
                continue;
            }
            let label = found.clone();
            return Err(if background.iter().any(|label| label.name == *found) {
                CodeError::Background { label }.into()
            } else {
                RulesError::Label {
                    found: label,
                    expected: foreground.iter().map(|label| label.name.clone()).collect(),
                }
            });
        }
        Ok(())
    }

    /// Applies the rules to a plan: stated rules replace those of the plan.
    ///
    /// **Errors**: [`RulesError`]; the plan is then as before.
    pub fn apply(&self, plan: &mut DeployPlan) -> Result<(), RulesError> {
        self.validate()?;
        self.check_labels(&plan.labels, plan.activation)?;
        let lacking = |name: &&String| plan.channels.iter().all(|channel| channel.name != **name);
        if let Some(found) = self.channels.keys().find(lacking) {
            return Err(RulesError::Channel {
                found: found.clone(),
                expected: plan
                    .channels
                    .iter()
                    .map(|channel| channel.name.clone())
                    .collect(),
            });
        }
        for channel in &mut plan.channels {
            if let Some(rules) = self.channels.get(&channel.name) {
                channel
                    .series_descriptions
                    .clone_from(&rules.series_descriptions);
            }
        }
        for label in &mut plan.labels {
            if let Some(code) = self.labels.get(&label.name) {
                label.code = Some(code.clone());
            }
        }
        Ok(())
    }
}

fn quoted(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
