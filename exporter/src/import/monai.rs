//! Checkpoints of MONAI's networks into a bundle.

use std::path::{Path, PathBuf};

use thiserror::Error;
use vesal_bundle::DicomRules;
use vesal_bundle::deploy_plan::PlanError;
use vesal_bundle::dicom_rules::RulesError;
use vesal_bundle::manifest::{EnsembleRecord, MemberProvenance};
use vesal_files::{digest, regular};
use vesal_models::families::dints::{self, DintsFileError};
use vesal_models::monai::ArgumentsError;
use vesal_network::{
    ArchitectureError, ConfigError, DintsArchitecture, DintsConfig, Family, NetworkConfig, Shapes,
};
use vesal_weights::{Checkpoint, CheckpointError};

use super::assumed::StatedParts;
use super::folder::{self, Folder, FolderError};
use super::folder_settings::{self, FolderSettingsError};
use super::overrides::ImportOverrides;
use super::plan::{self, Planned};
use super::planning_error::PlanningError;
use super::plans::{Disagreement, FamilyPlans};
use super::settings::InferenceSettings;
use crate::assemble::{
    self, AssembleError, Assembled, BundleMetadata, Destination, MemberCandidate, PlanFile,
};
use crate::weights::{self, StateDict, WeightsError};

const MAX_ARCHITECTURE_BYTES: u64 = 1 << 16;

/// Why checkpoints cannot be imported.
#[derive(Debug, Error)]
pub enum ImportError {
    #[error("no checkpoint is given, expected at least 1")]
    NoCheckpoints,
    /// A checkpoint cannot be read.
    #[error("cannot read the checkpoint `{}`", path.display())]
    Checkpoint {
        path: PathBuf,
        source: CheckpointError,
    },
    /// The file cannot be read for its digest.
    #[error("cannot read the checkpoint `{}`", path.display())]
    Digest {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Its configuration cannot be honored.
    #[error("the configuration in `{}` cannot be honored", path.display())]
    Settings {
        path: PathBuf,
        source: ArgumentsError,
    },
    /// The folder of a checkpoint is unusable.
    #[error("cannot import `{}`", path.display())]
    Folder { path: PathBuf, source: FolderError },
    /// Settings in the folder of a checkpoint cannot be honored.
    #[error("the settings in `{}` cannot be honored", path.display())]
    FolderSettings {
        path: PathBuf,
        source: Box<FolderSettingsError>,
    },
    /// Its network cannot be inferred.
    #[error("the network of `{}` cannot be told from its weights", path.display())]
    Architecture {
        path: PathBuf,
        source: ArchitectureError,
    },
    /// The file of an architecture cannot be read.
    #[error("cannot read the architecture `{}`", path.display())]
    ReadArchitecture {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The file of an architecture states none.
    #[error("cannot use the architecture `{}`", path.display())]
    DintsFile {
        path: PathBuf,
        source: DintsFileError,
    },
    /// A flag for networks that are not there.
    #[error("`{flag}` is given, and no checkpoint is of a {class}")]
    UnusedFlag {
        flag: &'static str,
        class: &'static str,
    },
    /// Its network is out of range.
    #[error("the network of `{}` cannot be built", path.display())]
    Network { path: PathBuf, source: ConfigError },
    /// Its weights do not fit its network.
    #[error("the weights in `{}` are unusable", path.display())]
    Weights { path: PathBuf, source: WeightsError },
    #[error("`{}` and the command line do not say how to use the network", path.display())]
    Planning {
        path: PathBuf,
        source: PlanningError,
    },
    /// Networks that cannot be one ensemble.
    #[error("`{}` and `{}` differ in {what}, expected the same for an ensemble", first.display(), second.display())]
    Disagree {
        first: PathBuf,
        second: PathBuf,
        /// The difference.
        what: &'static str,
    },
    /// Rules of DICOM that cannot be read, or do not fit the plan.
    #[error("cannot use the rules of DICOM in `{}`", path.display())]
    Rules { path: PathBuf, source: RulesError },
    /// The plan breaks a rule.
    #[error("the deploy plan that follows is unusable")]
    Plan(#[from] PlanError),
    /// The bundle cannot be assembled.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
}

impl ImportError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Checkpoint { source, .. } => source.hint().map(str::to_owned),
            Self::Planning { source, .. } => source.hint(),
            Self::Folder { source, .. } => source.hint(),
            Self::FolderSettings { source, .. } => source.hint().map(str::to_owned),
            Self::Disagree {
                what: "channels" | "images of a case",
                ..
            } => Some(
                "networks of other images are no ensemble: import them separately, or state the same `--modality` for all if only it differs"
                    .into(),
            ),
            Self::Disagree { .. } => Some(
                "flags override the checkpoints, so that they agree; otherwise import them separately"
                    .into(),
            ),
            Self::Architecture {
                source: ArchitectureError::Untold { .. },
                ..
            } => Some(
                "`--architecture FILE` states it: the matrices `node_a`, `code_a` and `code_c` of its `search_code_*.pt` as JSON, see docs/importing.md"
                    .into(),
            ),
            Self::Architecture { source, .. }
            | Self::Weights {
                source: WeightsError::Architecture(source),
                ..
            } => source.hint().map(str::to_owned),
            Self::DintsFile { source, .. } => Some(source.hint().into()),
            Self::UnusedFlag { flag, .. } => Some(format!("leave `{flag}` out")),
            Self::Rules { source, .. } => source.hint().map(str::to_owned),
            Self::Assemble(error) => error.hint().map(str::to_owned),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub struct Imported {
    pub assembled: Assembled,
    /// Assumptions where neither checkpoints nor flags state a value.
    pub assumptions: Vec<String>,
}

/// Imports checkpoints as the members of one ensemble. Networks of one family share a deploy plan.
///
/// **Errors**: [`ImportError`]; nothing is written in that case.
pub fn import(
    checkpoints: &[PathBuf],
    flags: &ImportOverrides,
    destination: &Destination,
    progress: &mut dyn FnMut(&str),
) -> Result<Imported, ImportError> {
    let prepared = assemble::prepare(destination)?;
    let rules = flags.dicom_rules.as_deref().map(read_rules).transpose()?;
    let architecture = flags.architecture.as_deref().map(read_architecture);
    let given = Given {
        name: &assemble::file_name(&destination.output),
        architecture: architecture.transpose()?,
    };
    let mut plans = FamilyPlans::default();
    let mut candidates = Vec::new();
    for (index, path) in checkpoints.iter().enumerate() {
        progress(&format!("{}: reading weights", assemble::file_name(path)));
        let (planned, mut candidate) = load(path, index, flags, &given)?;
        let plan = plans.add(path, candidate.config.family(), planned);
        candidate.plan = plan.map_err(|Disagreement { first, what }| ImportError::Disagree {
            first,
            second: path.clone(),
            what,
        })?;
        candidates.push(candidate);
    }
    refuse_unused(flags, &candidates)?;
    let mut files = Vec::new();
    let mut assumptions = Vec::new();
    for planned in plans.plans.into_iter().map(|family| family.planned) {
        let mut plan = planned.plan;
        if let Some((path, rules)) = &rules {
            rules.apply(&mut plan).map_err(unusable(path))?;
        }
        for assumption in planned.assumptions {
            if !assumptions.contains(&assumption) {
                assumptions.push(assumption);
            }
        }
        files.push(PlanFile {
            file: assemble::plan_file(files.len()),
            bytes: plan.to_json()?,
            plan,
        });
    }
    let Some(first) = files.first() else {
        return Err(ImportError::NoCheckpoints);
    };
    let metadata = BundleMetadata {
        name: first.plan.name.clone(),
        version: destination.version.clone(),
        plans: files,
        ensemble: EnsembleRecord::default(),
        data_stats_sha256: None,
    };
    let assembled = assemble::assemble(prepared, metadata, candidates, progress)?;
    Ok(Imported {
        assembled,
        assumptions,
    })
}

/// What is known before any checkpoint is read.
struct Given<'a> {
    /// The name of a plan that has no other one.
    name: &'a str,
    architecture: Option<DintsArchitecture>,
}

fn read_architecture(path: &Path) -> Result<DintsArchitecture, ImportError> {
    let bytes = regular::read_up_to(path, MAX_ARCHITECTURE_BYTES);
    let bytes = bytes.map_err(|source| ImportError::ReadArchitecture {
        path: path.to_owned(),
        source,
    })?;
    dints::read_architecture(&bytes).map_err(|source| ImportError::DintsFile {
        path: path.to_owned(),
        source,
    })
}

/// Refuses flags that no network is of the family for.
fn refuse_unused(
    flags: &ImportOverrides,
    candidates: &[MemberCandidate],
) -> Result<(), ImportError> {
    let has = |of: fn(&NetworkConfig) -> bool| candidates.iter().any(|member| of(&member.config));
    let swin = has(|config| matches!(config, NetworkConfig::Swinunetr(_)));
    let dints = has(|config| matches!(config, NetworkConfig::Dints(_)));
    let unused = |flag, class| Err(ImportError::UnusedFlag { flag, class });
    match (flags.patch_merging, &flags.architecture) {
        (Some(_), _) if !swin => unused("--patch-merging", "SwinUNETR"),
        (_, Some(_)) if !dints => unused("--architecture", "DiNTS"),
        _ => Ok(()),
    }
}

fn read_rules(path: &Path) -> Result<(&Path, DicomRules), ImportError> {
    let rules = DicomRules::read(path).map_err(unusable(path))?;
    Ok((path, rules))
}

fn unusable(path: &Path) -> impl FnOnce(RulesError) -> ImportError {
    let path = path.to_owned();
    |source| ImportError::Rules { path, source }
}

/// The network that tensors tell, with the stated architecture where it is a DiNTS.
fn inferred(
    tensors: &StateDict,
    architecture: Option<&DintsArchitecture>,
) -> Result<NetworkConfig, ArchitectureError> {
    let shapes = tensors.iter();
    let shapes: Shapes<'_> = shapes
        .map(|(name, data)| (name.as_str(), data.shape.to_vec()))
        .collect();
    match architecture {
        Some(architecture) if DintsConfig::recognizes(&shapes) => {
            Ok(DintsConfig::infer_with(&shapes, architecture.clone())?.into())
        }
        _ => NetworkConfig::infer(&shapes),
    }
}

/// Names the tensors of a SegResNetDS in two dimensions as Auto3DSeg's wrapper does, if they come without it.
fn with_wrapper(tensors: StateDict) -> StateDict {
    const WRAPPER: &str = "net.";
    let stem = tensors.get("encoder.conv_init.weight");
    if stem.is_none_or(|stem| stem.shape.to_vec().len() != 4) {
        return tensors;
    }
    let tensors = tensors.into_iter();
    tensors
        .map(|(name, data)| (format!("{WRAPPER}{name}"), data))
        .collect()
}

fn load(
    path: &Path,
    index: usize,
    flags: &ImportOverrides,
    given: &Given<'_>,
) -> Result<(Planned, MemberCandidate), ImportError> {
    let unusable = |source| ImportError::Folder {
        path: path.to_owned(),
        source,
    };
    let (file, root) = folder::find(path).map_err(unusable)?;
    let at = || file.clone();
    let (_, checkpoint_sha256) =
        digest::sha256_file(&file).map_err(|source| ImportError::Digest { path: at(), source })?;
    let mut checkpoint =
        Checkpoint::read(&file).map_err(|source| ImportError::Checkpoint { path: at(), source })?;
    checkpoint.tensors = with_wrapper(checkpoint.tensors);
    // What a checkpoint states itself takes precedence.
    let root = root.filter(|_| checkpoint.config.is_none());
    let folder = root.as_deref().map(|root| Ok((root, Folder::read(root)?)));
    let folder = folder.transpose().map_err(unusable)?;
    let mut settings = match &checkpoint.config {
        Some(config) => InferenceSettings::from_config(config)
            .map_err(|source| ImportError::Settings { path: at(), source })?,
        None => InferenceSettings::default(),
    };
    let described = match (settings.network.take(), &folder) {
        (None, Some((_, folder))) => folder.network().map_err(unusable)?,
        (described, _) => described,
    };
    let stated = StatedParts {
        network: described.is_some()
            || folder
                .as_ref()
                .is_some_and(|(_, folder)| folder.has_network()),
        settings: checkpoint.config.is_some() || folder.is_some(),
    };
    let mut config = match described {
        Some(network) => network,
        None => inferred(&checkpoint.tensors, given.architecture.as_ref())
            .map_err(|source| ImportError::Architecture { path: at(), source })?,
    };
    match (&mut config, &given.architecture) {
        (NetworkConfig::Swinunetr(network), _) => {
            let stated = flags.patch_merging;
            let folder = folder.as_ref();
            network.patch_merging = stated.ok_or_else(|| ImportError::Planning {
                path: at(),
                source: PlanningError::PatchMerging {
                    monai_version: folder.and_then(|(_, folder)| folder.monai_version()),
                },
            })?;
        }
        (NetworkConfig::Dints(network), Some(architecture)) => {
            network.architecture = architecture.clone();
        }
        _ => {}
    }
    // Sizes of the plan follow from the network.
    config
        .validate()
        .map_err(|source| ImportError::Network { path: at(), source })?;
    if let Some((root, folder)) = &folder {
        settings = folder_settings::read(folder, &config, flags).map_err(|source| {
            ImportError::FolderSettings {
                path: root.to_path_buf(),
                source: source.into(),
            }
        })?;
    }
    let mut planned = plan::plan(&settings, flags, &config, given.name)
        .map_err(|source| ImportError::Planning { path: at(), source })?;
    stated.assume(&config, flags, &mut planned.assumptions);
    if let Some(choice) = &checkpoint.choice {
        let name = printable(&assemble::file_name(&file));
        planned.assumptions.push(format!("`{name}`: {choice}"));
    }
    let network = weights::load(&config, checkpoint.tensors, &Default::default())
        .map_err(|source| ImportError::Weights { path: at(), source })?;
    let provenance = MemberProvenance::ImportedMonai {
        checkpoint: printable(&assemble::file_name(&file)),
        checkpoint_sha256,
        epoch: checkpoint.epoch,
        best_metric: checkpoint.best_metric,
    };
    let file = format!("members/model-{index}.onnx");
    Ok((
        planned,
        MemberCandidate {
            file,
            plan: 0,
            weight: 1.,
            config,
            network,
            provenance,
        },
    ))
}

/// A file name that a manifest may hold.
fn printable(name: &str) -> String {
    let name: String = name
        .trim()
        .chars()
        .map(|c| if c.is_control() { '_' } else { c })
        .take(120)
        .collect();
    let name = name.trim_end();
    if name.is_empty() {
        "checkpoint".into()
    } else {
        name.into()
    }
}
