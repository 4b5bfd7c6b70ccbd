//! The manifest, `manifest.json`: what a bundle holds and where it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

pub use crate::ensemble_record::{EnsembleRecord, Selection, SelectionRule};
use crate::name::{self, NameError};
use crate::path::{self, PathError};
use crate::run_record::{RunRecordError, Score};
use crate::signature;
use vesal_files::digest;
use vesal_files::document::{self, DocumentError, VersionedDocument};

/// File name inside a bundle.
pub const FILE_NAME: &str = "manifest.json";
/// Largest number of networks.
pub const MAX_MEMBERS: usize = 256;
/// Largest number of files.
pub const MAX_FILES: usize = 1024;
/// Largest file of a bundle in bytes; ONNX itself ends at 2 GiB.
pub const MAX_ENTRY_BYTES: u64 = 1 << 31;

/// Size and digest of one file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256, lowercase hexadecimal.
    pub sha256: String,
}

/// One ONNX network of the ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Path of its ONNX file in the bundle.
    pub file: String,
    /// Weight of its probabilities in the ensemble's mean, or of its vote; positive.
    pub weight: f64,
    /// Where it came from.
    pub provenance: MemberProvenance,
}

/// Origin of a member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MemberProvenance {
    /// Trained by vesal-train.
    Trained {
        /// Algorithm name.
        algorithm: String,
        /// Held-out fold.
        fold: usize,
        /// Its validation score.
        score: Score,
        /// SHA-256 of the weights file.
        weights_sha256: String,
        /// Versions of the programs and libraries that trained it, by name.
        versions: BTreeMap<String, String>,
    },
    /// Imported from a MONAI checkpoint.
    ImportedMonai {
        /// File name of the checkpoint, without folders.
        checkpoint: String,
        /// SHA-256 of the checkpoint.
        checkpoint_sha256: String,
        /// The checkpoint's own `epoch`, if it has one.
        epoch: Option<u64>,
        /// The checkpoint's own `best_metric`, if it has one.
        best_metric: Option<f64>,
    },
}

/// Where the bundle as a whole came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Versions of the programs and libraries that exported it, by name.
    pub versions: BTreeMap<String, String>,
    /// SHA-256 of the data stats behind the plan; null for imported networks.
    pub data_stats_sha256: Option<String>,
}

/// What is the same for every ONNX network of the bundle.
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

/// Longest version in characters.
pub const MAX_VERSION_CHARACTERS: usize = 64;

/// Checks that a text is a version: ASCII letters, digits, `.`, `+`, `-` and `_`.
///
/// **Errors**: [`ManifestError::Version`].
pub fn check_version(found: &str) -> Result<(), ManifestError> {
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_".contains(&byte);
    if (1..=MAX_VERSION_CHARACTERS).contains(&found.len()) && found.bytes().all(lawful) {
        Ok(())
    } else {
        Err(ManifestError::Version {
            found: found.chars().take(80).collect(),
        })
    }
}

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name of the task.
    pub name: String,
    /// Version, as its makers count, such as `1.2.0`; absent where they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Path of the deploy plan.
    pub deploy_plan: String,
    /// Path of the probe.
    pub probe: String,
    /// Common interface of the networks.
    pub network: NetworkInterface,
    /// Networks, with the weights of their probabilities or votes.
    pub members: Vec<Member>,
    /// What is done with their predictions, and how they were chosen.
    #[serde(default)]
    pub ensemble: EnsembleRecord,
    /// Origin.
    pub provenance: Provenance,
    /// Every file of the bundle except the manifest itself, by relative path with forward slashes.
    #[serde(deserialize_with = "unique_files")]
    pub files: BTreeMap<String, FileEntry>,
}

/// Why a manifest cannot be used.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not readable as a manifest of this version.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A name breaks the rules for names.
    #[error("the manifest has an unusable {of}")]
    Name {
        /// Whose name: task, input or output.
        of: &'static str,
        /// The rule.
        source: NameError,
    },
    /// A version breaks the rules for versions.
    #[error(
        "the version {found:?} is not 1 to {MAX_VERSION_CHARACTERS} ASCII letters, digits, `.`, `+`, `-` and `_`"
    )]
    Version {
        /// The version.
        found: String,
    },
    /// A path breaks the rules for paths.
    #[error("the manifest names a file outside the rules")]
    Path(#[from] PathError),
    /// Two paths are the same file on systems that ignore case.
    #[error("the manifest lists `{first}` and `{second}`, which some systems take for one file")]
    SameIgnoringCase {
        /// One path.
        first: String,
        /// The other.
        second: String,
    },
    /// The manifest cannot list itself, nor the signature that signs it.
    #[error("the manifest lists `{file}`, expected every file but itself and its signature")]
    ListsItself {
        /// The file.
        file: &'static str,
    },
    /// A file has a role but no size and digest.
    #[error("the manifest names `{file}` as {role} and does not list it among its files")]
    NotListed {
        /// The file.
        file: String,
        /// Its role.
        role: &'static str,
    },
    /// One file has two roles.
    #[error("the manifest names `{file}` twice, last as {role}")]
    TwoRoles {
        /// The file.
        file: String,
        /// Its second role.
        role: &'static str,
    },
    /// A listed file has no role.
    #[error(
        "the manifest lists `{file}`, which is neither the deploy plan, the probe nor a member"
    )]
    NoRole {
        /// The file.
        file: String,
    },
    /// Too few or too many of something.
    #[error("the manifest has {found} {of}, expected {least} to {most}")]
    Count {
        /// Of what.
        of: &'static str,
        /// How many there are.
        found: usize,
        /// Smallest allowed number.
        least: usize,
        /// Largest allowed number.
        most: usize,
    },
    /// A file that no bundle can hold.
    #[error("the manifest gives `{file}` {found} bytes, at most {MAX_ENTRY_BYTES} are allowed")]
    FileSize {
        /// The file.
        file: String,
        /// Its size in bytes.
        found: u64,
    },
    /// A text that should be a digest.
    #[error("the SHA-256 of {of} is {found:?}, expected 64 lowercase hexadecimal digits")]
    DigestForm {
        /// What it is the digest of.
        of: String,
        /// The text.
        found: String,
    },
    /// A weight that no mean can have.
    #[error("member `{file}` has weight {found}, expected a positive number")]
    Weight {
        /// File of the member.
        file: String,
        /// Its weight.
        found: f64,
    },
    /// The ensemble was chosen for no reason that fits the rules for names.
    #[error("the manifest has an unusable reason for the choice of its members")]
    Reason {
        /// The rule.
        source: NameError,
    },
    /// The ensemble's score cannot be one.
    #[error("the ensemble has an impossible score")]
    EnsembleScore {
        /// The rule.
        source: RunRecordError,
    },
    /// A member's score cannot be one.
    #[error("member `{file}` has an impossible score")]
    Score {
        /// File of the member.
        file: String,
        /// The rule.
        source: RunRecordError,
    },
    /// An operator set that does not exist.
    #[error("the manifest has opset {found}, expected 1 or more")]
    Opset {
        /// The number.
        found: i64,
    },
}

impl ManifestError {
    /// A remedy, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Document(error) => error.hint(),
            _ => Some("the bundle is damaged or was edited: get it again from where it came"),
        }
    }
}

impl VersionedDocument for Manifest {
    const FORMAT: &str = "vesal-bundle";
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = 4 << 20;
}

impl Manifest {
    /// Parses and validates a manifest.
    ///
    /// **Errors**: [`ManifestError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = document::parse(bytes, FILE_NAME)?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Validates the manifest and gives the bytes of its file.
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

    /// Files with a role and listed files are the same set.
    fn validate_roles(&self) -> Result<(), ManifestError> {
        let mut seen = BTreeSet::new();
        let members = self
            .members
            .iter()
            .map(|member| (member.file.as_str(), "member"));
        for (file, role) in [
            (self.deploy_plan.as_str(), "deploy plan"),
            (self.probe.as_str(), "probe"),
        ]
        .into_iter()
        .chain(members)
        {
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

impl Member {
    fn validate(&self) -> Result<(), ManifestError> {
        let file = || self.file.clone();
        if !(self.weight.is_finite() && self.weight > 0.) {
            return Err(ManifestError::Weight {
                file: file(),
                found: self.weight,
            });
        }
        match &self.provenance {
            MemberProvenance::Trained {
                score,
                weights_sha256,
                ..
            } => {
                digest_form(
                    || format!("the weights behind `{}`", self.file),
                    weights_sha256,
                )?;
                score.validate().map_err(|source| ManifestError::Score {
                    file: file(),
                    source,
                })
            }
            MemberProvenance::ImportedMonai {
                checkpoint,
                checkpoint_sha256,
                ..
            } => {
                digest_form(
                    || format!("the checkpoint behind `{}`", self.file),
                    checkpoint_sha256,
                )?;
                name::check(checkpoint).map_err(|source| ManifestError::Name {
                    of: "checkpoint name",
                    source,
                })
            }
        }
    }
}

fn count(of: &'static str, found: usize, least: usize, most: usize) -> Result<(), ManifestError> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(ManifestError::Count {
            of,
            found,
            least,
            most,
        })
    }
}

fn digest_form(of: impl FnOnce() -> String, found: &str) -> Result<(), ManifestError> {
    if digest::is_digest(found) {
        Ok(())
    } else {
        Err(ManifestError::DigestForm {
            of: of(),
            found: found.chars().take(80).collect(),
        })
    }
}

/// Reads the list of files and rejects a path that is listed twice, of which another reader might take the other one.
fn unique_files<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, FileEntry>, D::Error> {
    struct Files;
    impl<'de> Visitor<'de> for Files {
        type Value = BTreeMap<String, FileEntry>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object of files by path")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut files = BTreeMap::new();
            while let Some((path, entry)) = map.next_entry::<String, FileEntry>()? {
                if files.len() >= MAX_FILES {
                    return Err(A::Error::custom(format_args!(
                        "more than {MAX_FILES} files"
                    )));
                }
                if files.contains_key(&path) {
                    return Err(A::Error::custom(format_args!(
                        "the file {path:?} is listed twice"
                    )));
                }
                files.insert(path, entry);
            }
            Ok(files)
        }
    }
    deserializer.deserialize_map(Files)
}
