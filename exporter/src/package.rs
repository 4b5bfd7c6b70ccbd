//! Exports the trained folds of a work directory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::PlanError;
use vesal_bundle::manifest::MemberProvenance;
use vesal_bundle::run_record::{self, RunRecord, RunRecordError};
use vesal_models::NetworkConfig;

use crate::assemble::{self, AssembleError, Assembled, Candidate, Destination, Frame};
use crate::weights::{self, WeightsError};

/// Beginning of the names of run directories: algorithm, underscore, fold.
const RUN_PREFIX: &str = "segresnet_";

/// Why a work directory does not become a bundle.
#[derive(Debug, Error)]
pub enum PackageError {
    /// The work directory cannot be listed.
    #[error("cannot read the work directory `{}`", path.display())]
    WorkDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No fold has ended.
    #[error("`{}` has no finished fold, expected `{RUN_PREFIX}*/{}`", path.display(), run_record::FILE_NAME)]
    NoRuns {
        /// The directory.
        path: PathBuf,
    },
    /// A fold that was asked for has not ended.
    #[error("fold {fold} is not finished; finished are {finished:?}")]
    NoFold {
        /// The fold.
        fold: usize,
        /// Finished folds.
        finished: Vec<usize>,
    },
    /// Two runs of one fold.
    #[error("`{first}` and `{second}` are both runs of fold {fold}, expected one")]
    FoldTwice {
        /// The fold.
        fold: usize,
        /// One run.
        first: String,
        /// The other.
        second: String,
    },
    /// A run record is unusable.
    #[error("the run `{run}` is unusable")]
    Record {
        /// The run.
        run: String,
        /// Why.
        source: RunRecordError,
    },
    /// Runs under different plans or on different data cannot vote together.
    #[error("the runs `{first}` and `{second}` have different {what}, expected the same")]
    Disagree {
        /// One run.
        first: String,
        /// The other.
        second: String,
        /// In what they differ.
        what: &'static str,
    },
    /// The deploy plan is unusable.
    #[error("the deploy plan of run `{run}` is unusable")]
    Plan {
        /// The run.
        run: String,
        /// Why.
        source: PlanError,
    },
    /// Weights do not go into their network.
    #[error("the weights of run `{run}` are unusable")]
    Weights {
        /// The run.
        run: String,
        /// Why.
        source: WeightsError,
    },
    /// The bundle cannot be put together.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
}

impl PackageError {
    /// A remedy, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoRuns { .. } | Self::NoFold { .. } => {
                Some("`vesal-train status --work-dir DIR` shows what is trained")
            }
            Self::FoldTwice { .. } => Some("move one of them elsewhere"),
            Self::Record { source, .. } => source.hint(),
            Self::Disagree { .. } => Some("`--folds` exports those that belong together"),
            Self::Plan { source, .. } => source.hint(),
            Self::Assemble(error) => error.hint(),
            Self::WorkDirectory { .. } | Self::Weights { .. } => None,
        }
    }
}

/// A finished run.
struct Run {
    name: String,
    directory: PathBuf,
    record: RunRecord<NetworkConfig>,
}

/// Exports the folds of a work directory: all finished ones, or those asked for.
///
/// **Errors**: [`PackageError`]; nothing is written then.
pub fn package(
    work_dir: &Path,
    folds: Option<&[usize]>,
    name: Option<&str>,
    destination: &Destination,
    progress: &mut dyn FnMut(&str),
) -> Result<Assembled, PackageError> {
    let runs = choose(find_runs(work_dir)?, folds)?;
    let prepared = assemble::prepare(destination)?;
    let first = &runs[0];
    for run in &runs[1..] {
        let differ = |what| PackageError::Disagree {
            first: first.name.clone(),
            second: run.name.clone(),
            what,
        };
        if run.record.deploy_plan.sha256 != first.record.deploy_plan.sha256 {
            return Err(differ("deploy plans"));
        }
        if run.record.data_stats.sha256 != first.record.data_stats.sha256 {
            return Err(differ("data stats"));
        }
    }
    let broken = |source| PackageError::Record {
        run: first.name.clone(),
        source,
    };
    let plan_bytes = first
        .record
        .deploy_plan
        .read(&first.directory)
        .map_err(broken)?;
    first
        .record
        .data_stats
        .read(&first.directory)
        .map_err(broken)?;
    let plan = DeployPlan::from_json(&plan_bytes).map_err(|source| PackageError::Plan {
        run: first.name.clone(),
        source,
    })?;
    let frame = Frame {
        name: name.unwrap_or(&plan.name).to_owned(),
        plan: &plan,
        plan_bytes: &plan_bytes,
        data_stats_sha256: Some(first.record.data_stats.sha256.clone()),
    };
    let candidates = runs.into_iter().map(|run| {
        progress(&format!("{}: reading weights", run.name));
        load(run)
    });
    let candidates = candidates.collect::<Result<Vec<_>, _>>()?;
    Ok(assemble::assemble(prepared, &frame, candidates, progress)?)
}

/// Finished runs by fold.
fn find_runs(work_dir: &Path) -> Result<BTreeMap<usize, Run>, PackageError> {
    let unreadable = |source| PackageError::WorkDirectory {
        path: work_dir.into(),
        source,
    };
    let mut directories = Vec::new();
    for entry in work_dir.read_dir().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if let Ok(name) = entry.file_name().into_string()
            && name.starts_with(RUN_PREFIX)
            && entry.path().join(run_record::FILE_NAME).is_file()
        {
            directories.push((name, entry.path()));
        }
    }
    directories.sort();
    let mut runs: BTreeMap<usize, Run> = BTreeMap::new();
    for (name, directory) in directories {
        let record: RunRecord<NetworkConfig> =
            RunRecord::read(&directory.join(run_record::FILE_NAME)).map_err(|source| {
                PackageError::Record {
                    run: name.clone(),
                    source,
                }
            })?;
        let fold = record.fold;
        if let Some(first) = runs.get(&fold) {
            return Err(PackageError::FoldTwice {
                fold,
                first: first.name.clone(),
                second: name,
            });
        }
        runs.insert(
            fold,
            Run {
                name,
                directory,
                record,
            },
        );
    }
    if runs.is_empty() {
        return Err(PackageError::NoRuns {
            path: work_dir.into(),
        });
    }
    Ok(runs)
}

/// The runs of these folds, each once and in ascending order.
fn choose(
    mut runs: BTreeMap<usize, Run>,
    folds: Option<&[usize]>,
) -> Result<Vec<Run>, PackageError> {
    if let Some(folds) = folds {
        if let Some(&fold) = folds.iter().find(|fold| !runs.contains_key(fold)) {
            return Err(PackageError::NoFold {
                fold,
                finished: runs.into_keys().collect(),
            });
        }
        runs.retain(|fold, _| folds.contains(fold));
    }
    Ok(runs.into_values().collect())
}

fn load(run: Run) -> Result<Candidate, PackageError> {
    let Run {
        name,
        directory,
        record,
    } = run;
    let bytes = record
        .weights
        .read(&directory)
        .map_err(|source| PackageError::Record {
            run: name.clone(),
            source,
        })?;
    let network = weights::from_safetensors(bytes)
        .and_then(|tensors| weights::load(&record.network, tensors, &Default::default()))
        .map_err(|source| PackageError::Weights { run: name, source })?;
    Ok(Candidate {
        file: format!("members/fold-{}.onnx", record.fold),
        config: record.network,
        network,
        provenance: MemberProvenance::Trained {
            algorithm: record.algorithm,
            fold: record.fold,
            score: record.score,
            weights_sha256: record.weights.sha256,
            versions: record.versions,
        },
    })
}
