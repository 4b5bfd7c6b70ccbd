//! Exports the trained runs of a work directory.

use std::collections::BTreeMap;
use std::path::Path;

use thiserror::Error;
use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::PlanError;
use vesal_bundle::manifest::MemberProvenance;

use crate::assemble::{self, AssembleError, Assembled, Candidate, Destination, Frame};
use crate::runs::{self, Run, RunsError};
use crate::selection::{self, SelectionError, Wish};
use crate::weights::{self, WeightsError};

/// Why a work directory does not become a bundle.
#[derive(Debug, Error)]
pub enum PackageError {
    /// Its runs cannot be told, or one is unusable.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// No members can be chosen.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// Runs under different plans or on different data cannot be one ensemble.
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
            Self::Runs(error) => error.hint(),
            Self::Selection(error) => error.hint(),
            Self::Disagree { .. } => {
                Some("`--folds` or an ensemble file exports those that belong together")
            }
            Self::Plan { source, .. } => source.hint(),
            Self::Assemble(error) => error.hint(),
            Self::Weights { .. } => None,
        }
    }
}

/// Exports chosen runs of a work directory as one ensemble.
///
/// **Errors**: [`PackageError`]; nothing is written then.
pub fn package(
    work_dir: &Path,
    wish: &Wish,
    name: Option<&str>,
    destination: &Destination,
    progress: &mut dyn FnMut(&str),
) -> Result<Assembled, PackageError> {
    let to_train = runs::folds_to_train(work_dir)?;
    let selected = selection::select(runs::find(work_dir)?, to_train, wish)?;
    let prepared = assemble::prepare(destination)?;
    let ensemble = selected.record()?;
    let first = &selected.members[0].0;
    for (run, _) in &selected.members[1..] {
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
    let directory = &first.directory;
    let plan_bytes = first
        .record
        .deploy_plan
        .read(directory)
        .map_err(first.broken())?;
    first
        .record
        .data_stats
        .read(directory)
        .map_err(first.broken())?;
    let plan = DeployPlan::from_json(&plan_bytes).map_err(|source| PackageError::Plan {
        run: first.name.clone(),
        source,
    })?;
    let frame = Frame {
        name: name.unwrap_or(&plan.name).to_owned(),
        version: destination.version.clone(),
        plan: &plan,
        plan_bytes: &plan_bytes,
        ensemble,
        data_stats_sha256: Some(first.record.data_stats.sha256.clone()),
    };
    let mut runs_of_fold: BTreeMap<usize, usize> = BTreeMap::new();
    let candidates = selected.members.into_iter().map(|(run, weight)| {
        progress(&format!("{}: reading weights", run.name));
        let fold = run.record.fold;
        let count = runs_of_fold.entry(fold).or_default();
        *count += 1;
        let file = match count {
            1 => format!("members/fold-{fold}.onnx"),
            count => format!("members/fold-{fold}-{count}.onnx"),
        };
        load(run, weight, file)
    });
    let candidates = candidates.collect::<Result<Vec<_>, _>>()?;
    Ok(assemble::assemble(prepared, &frame, candidates, progress)?)
}

fn load(run: Run, weight: f64, file: String) -> Result<Candidate, PackageError> {
    let bytes = run
        .record
        .weights
        .read(&run.directory)
        .map_err(run.broken())?;
    let Run { name, record, .. } = run;
    let network = weights::from_safetensors(bytes)
        .and_then(|tensors| weights::load(&record.network, tensors, &Default::default()))
        .map_err(|source| PackageError::Weights { run: name, source })?;
    Ok(Candidate {
        file,
        weight,
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
