//! Exports the trained runs of a work directory.

use std::collections::BTreeMap;
use std::path::Path;

use thiserror::Error;
use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::PlanError;
use vesal_bundle::manifest::MemberProvenance;

use crate::assemble::{
    self, AssembleError, Assembled, BundleMetadata, Destination, MemberCandidate, PlanFile,
};
use crate::runs::{self, Run, RunsError};
use crate::selection::{self, SelectionError, SelectionOptions};
use crate::weights::{self, WeightsError};

/// Why a work directory cannot be exported.
#[derive(Debug, Error)]
pub enum PackageError {
    /// Its runs cannot be listed, or one is unusable.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// No members can be chosen.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// Runs under different plans or on different data cannot be one ensemble.
    #[error("the runs `{first}` and `{second}` have different {what}, expected the same")]
    Disagree {
        first: String,
        second: String,
        /// The difference.
        what: &'static str,
    },
    /// The deploy plan is unusable.
    #[error("the deploy plan of run `{run}` is unusable")]
    Plan { run: String, source: PlanError },
    /// Weights do not fit their network.
    #[error("the weights of run `{run}` are unusable")]
    Weights { run: String, source: WeightsError },
    /// The bundle cannot be assembled.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
}

impl PackageError {
    /// A remedy for the user, if there is one.
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
/// **Errors**: [`PackageError`]; nothing is written in that case.
pub fn package(
    work_dir: &Path,
    options: &SelectionOptions,
    name: Option<&str>,
    destination: &Destination,
    progress: &mut dyn FnMut(&str),
) -> Result<Assembled, PackageError> {
    let to_train = runs::folds_to_train(work_dir)?;
    let runs = runs::find(work_dir)?;
    if options.choice.compares_scores() {
        let chosen_from = |run: &&Run| {
            let folds = options.folds.as_ref();
            folds.is_none_or(|folds| folds.contains(&run.record.fold))
        };
        for fold in selection::folds_of_different_cases(runs.iter().filter(chosen_from))? {
            progress(&format!(
                "fold {fold}: its runs held out different cases, so that their mean Dice is compared only roughly"
            ));
        }
    }
    let selected = selection::select(runs, to_train, options)?;
    let prepared = assemble::prepare(destination)?;
    let ensemble = selected.record()?;
    let plans = Plans::read(selected.members.iter().map(|(run, _)| run))?;
    let mut stats = selected
        .members
        .iter()
        .map(|(run, _)| &run.record.data_stats.sha256);
    let first = stats.next();
    let data_stats_sha256 = first
        .filter(|first| stats.all(|other| other == *first))
        .cloned();
    let metadata = BundleMetadata {
        name: name.unwrap_or(&plans.files[0].plan.name).to_owned(),
        version: destination.version.clone(),
        ensemble,
        data_stats_sha256,
        plans: plans.files,
    };
    let mut runs_of_fold: BTreeMap<usize, usize> = BTreeMap::new();
    let members = selected.members.into_iter().zip(plans.of_run);
    let candidates = members.map(|((run, weight), plan)| {
        progress(&format!("{}: reading weights", run.name));
        let fold = run.record.fold;
        let count = runs_of_fold.entry(fold).or_default();
        *count += 1;
        let file = match count {
            1 => format!("members/fold-{fold}.onnx"),
            count => format!("members/fold-{fold}-{count}.onnx"),
        };
        load(run, weight, file, plan)
    });
    let candidates = candidates.collect::<Result<Vec<_>, _>>()?;
    Ok(assemble::assemble(
        prepared, metadata, candidates, progress,
    )?)
}

/// The deploy plans of runs, each once.
struct Plans {
    files: Vec<PlanFile>,
    /// Index of each run's plan.
    of_run: Vec<usize>,
}

impl Plans {
    /// Reads the plans of runs, and checks that these can be members of one ensemble.
    fn read<'a>(runs: impl Iterator<Item = &'a Run>) -> Result<Self, PackageError> {
        let mut digests: Vec<(&str, &Run)> = Vec::new();
        let mut files: Vec<PlanFile> = Vec::new();
        let mut of_run = Vec::new();
        for run in runs {
            let first = digests.first().map_or(run, |(_, first)| first);
            let disagree = |what| PackageError::Disagree {
                first: first.name.clone(),
                second: run.name.clone(),
                what,
            };
            let digest = run.record.deploy_plan.sha256.as_str();
            if let Some(known) = digests.iter().position(|(known, _)| *known == digest) {
                of_run.push(known);
                continue;
            }
            let bytes = run.record.deploy_plan.read(&run.directory);
            let bytes = bytes.map_err(run.broken())?;
            let plan = DeployPlan::from_json(&bytes).map_err(|source| PackageError::Plan {
                run: run.name.clone(),
                source,
            })?;
            let agreed = files.first().map(|first| &first.plan);
            if let Some(what) = agreed.and_then(|agreed| agreed.disagreement(&plan)) {
                return Err(disagree(what));
            }
            let file = assemble::plan_file(files.len());
            of_run.push(files.len());
            digests.push((digest, run));
            files.push(PlanFile { file, plan, bytes });
        }
        Ok(Self { files, of_run })
    }
}

fn load(run: Run, weight: f64, file: String, plan: usize) -> Result<MemberCandidate, PackageError> {
    let bytes = run
        .record
        .weights
        .read(&run.directory)
        .map_err(run.broken())?;
    let Run { name, record, .. } = run;
    let network = weights::from_safetensors(&bytes)
        .and_then(|tensors| weights::load(&record.network, tensors, &Default::default()))
        .map_err(|source| PackageError::Weights { run: name, source })?;
    Ok(MemberCandidate {
        file,
        plan,
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
