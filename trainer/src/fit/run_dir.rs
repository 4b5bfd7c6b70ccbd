//! State of the training in a run directory.

use std::path::{Path, PathBuf};

use vesal_bundle::case_scores::{self, CaseScore, CaseScores};
use vesal_bundle::deploy_plan;
use vesal_bundle::run_record::{self, FileRef, RunRecord, Score};
use vesal_bundle::work_dir::RunId;
use vesal_files::atomic;

use super::checkpoint::{CHECKPOINT_FILE, CheckpointHead, Identity, WEIGHTS_FILE, WeightsHead};
use super::events;
use super::metrics::{METRICS_FILE, VALIDATION_FILE};
use super::plans::Plans;
use super::status::status;
use super::tensor_file::{self, TensorFileError};
use super::{FitError, FitRequest};
use crate::relative;

/// State that an earlier call left.
#[derive(Debug)]
pub struct ResumeState {
    pub checkpoint: CheckpointHead,
    pub best: Option<Score>,
}

/// Reads the state that an earlier call left in a locked directory; without a checkpoint, its other files are removed.
///
/// **Errors**: [`FitError::OtherRun`] for the state of another training; unreadable or irremovable files.
pub fn find_resume_state(
    run_dir: &Path,
    identity: &Identity,
) -> Result<Option<ResumeState>, FitError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| FitError::Io { path, source }
    };
    remove_parts(run_dir).map_err(io(run_dir))?;
    let checkpoint: Option<CheckpointHead> =
        tensor_file::read_head(&run_dir.join(CHECKPOINT_FILE))?;
    let Some(checkpoint) = checkpoint else {
        for name in [
            run_record::FILE_NAME,
            case_scores::FILE_NAME,
            WEIGHTS_FILE,
            METRICS_FILE,
            VALIDATION_FILE,
        ] {
            let path = run_dir.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io(&path)(error));
                }
                _ => {}
            }
        }
        events::remove(run_dir).map_err(io(run_dir))?;
        return Ok(None);
    };
    require_same(run_dir, &checkpoint.identity, identity)?;
    let weights: Option<WeightsHead> = tensor_file::read_head(&run_dir.join(WEIGHTS_FILE))?;
    let best = weights
        .filter(|head| head.identity == *identity)
        .map(|head| head.score);
    Ok(Some(ResumeState { checkpoint, best }))
}

/// Checks that a directory holds no other training than this.
///
/// **Errors**: [`FitError::OtherRun`]; files that cannot be read.
pub fn check_identity(run_dir: &Path, expected: &Identity) -> Result<(), FitError> {
    let found = if run_dir.join(run_record::FILE_NAME).is_file() {
        let weights: Option<WeightsHead> = tensor_file::read_head(&run_dir.join(WEIGHTS_FILE))?;
        weights.map(|head| head.identity)
    } else {
        let path = run_dir.join(CHECKPOINT_FILE);
        let checkpoint: Option<CheckpointHead> = tensor_file::read_head(&path)?;
        checkpoint.map(|head| head.identity)
    };
    found.map_or(Ok(()), |found| require_same(run_dir, &found, expected))
}

/// The score of a finished run in a locked directory; its checkpoint may be absent.
///
/// **Errors**: [`FitError::OtherRun`] for another training; unreadable weights.
pub fn find_finished(run_dir: &Path, identity: &Identity) -> Result<Option<Score>, FitError> {
    if !run_dir.join(run_record::FILE_NAME).is_file() {
        return Ok(None);
    }
    let weights: Option<WeightsHead> = tensor_file::read_head(&run_dir.join(WEIGHTS_FILE))?;
    let Some(weights) = weights else {
        return Ok(None);
    };
    require_same(run_dir, &weights.identity, identity)?;
    Ok(Some(weights.score))
}

/// The scores of a run's best weights on each case that it held out, for finished and unfinished runs; `None` where
/// there are no scores.
///
/// **Errors**: the weights cannot be read.
pub fn scores(run_dir: &Path) -> Result<Option<CaseScores>, TensorFileError> {
    let weights: Option<WeightsHead> = tensor_file::read_head(&run_dir.join(WEIGHTS_FILE))?;
    let status = status(run_dir, None);
    Ok(weights
        .filter(|weights| !weights.cases.is_empty())
        .map(|weights| CaseScores {
            fold: weights.identity.fold,
            epoch: weights.score.epoch,
            epochs_trained: status.map_or(weights.score.epoch, |status| status.epoch),
            cases: weights.cases,
        }))
}

/// Scores by case, and the run that they belong to.
#[derive(Debug, Clone, PartialEq)]
pub struct RunScores {
    pub run: RunId,
    pub scores: CaseScores,
}

/// Names of labels: those of `first`, then further ones that any case was scored for.
pub fn label_names(first: &[String], scores: &[RunScores]) -> Vec<String> {
    let mut names = first.to_vec();
    let cases = scores.iter().flat_map(|run| &run.scores.cases);
    for name in cases.flat_map(|case| case.labels.keys()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Cases with the runs that held them out, the worst first; cases without any label last.
pub fn worst_first(scores: &[RunScores]) -> Vec<(&RunId, &CaseScore)> {
    let mut cases: Vec<_> = scores
        .iter()
        .flat_map(|run| run.scores.cases.iter().map(|case| (&run.run, case)))
        .collect();
    let dice = |case: &CaseScore| case.mean_dice().unwrap_or(f64::INFINITY);
    cases.sort_by(|(_, a), (_, b)| dice(a).total_cmp(&dice(b)));
    cases
}

/// Removes temporary files of a killed process.
fn remove_parts(run_dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(run_dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = [
            CHECKPOINT_FILE,
            WEIGHTS_FILE,
            METRICS_FILE,
            VALIDATION_FILE,
            case_scores::FILE_NAME,
            deploy_plan::FILE_NAME,
            run_record::FILE_NAME,
        ]
        .iter()
        .any(|file| {
            name.strip_prefix('.')
                .is_some_and(|rest| rest.starts_with(file))
        });
        if ours && name.ends_with(".part") && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn require_same(run_dir: &Path, found: &Identity, expected: &Identity) -> Result<(), FitError> {
    difference(found, expected).map_or(Ok(()), |difference| {
        Err(FitError::OtherRun {
            run_dir: run_dir.to_owned(),
            difference,
        })
    })
}

/// The part in which two trainings differ; `None` where they are the same.
pub fn difference(found: &Identity, expected: &Identity) -> Option<&'static str> {
    [
        (found.fold != expected.fold, "fold"),
        (found.deploy_plan != expected.deploy_plan, "deploy plan"),
        (found.train_plan != expected.train_plan, "train plan"),
        (found.cases != expected.cases, "list of cases"),
    ]
    .into_iter()
    .find_map(|(differs, what)| differs.then_some(what))
}

/// Writes the run record, which marks the run as finished.
///
/// The deploy plan of the training is written beside it, because a later planning replaces that of the work directory.
///
/// **Errors**: a file that the record names cannot be read, or the record cannot be written.
pub fn write_record(
    request: &FitRequest,
    plans: &Plans,
    score: Score,
    backend: &str,
) -> Result<(), FitError> {
    let run_dir = &request.run_dir;
    let scores_path = run_dir.join(case_scores::FILE_NAME);
    let scores = scores(run_dir)?;
    if let Some(scores) = &scores {
        scores.write(&scores_path)?;
    }
    let plan_path = run_dir.join(deploy_plan::FILE_NAME);
    atomic::write_file(&plan_path, &plans.deploy_bytes, true)?;
    let refer = |path: &Path| -> Result<FileRef, FitError> {
        Ok(FileRef::to_file(run_dir, &relative(run_dir, path)?)?)
    };
    let burn = burn_store::SafetensorsStore::default_metadata();
    let versions = [
        ("vesal-trainer", Some(env!("CARGO_PKG_VERSION"))),
        // Burn's crates share one version; this crate is the one that exposes it.
        ("burn", burn.get("version").map(String::as_str)),
        ("burn-backend", Some(backend)),
    ];
    let record = RunRecord {
        algorithm: plans.train.algorithm.clone(),
        fold: request.fold,
        network: plans.train.network.clone(),
        weights: refer(&run_dir.join(WEIGHTS_FILE))?,
        deploy_plan: refer(&plan_path)?,
        data_stats: refer(&request.data_stats_path)?,
        score,
        scores: scores.map(|_| refer(&scores_path)).transpose()?,
        versions: versions
            .into_iter()
            .filter_map(|(name, version)| Some((name.into(), version?.into())))
            .collect(),
    };
    Ok(record.write(&run_dir.join(run_record::FILE_NAME))?)
}

/// The path of a file relative to a directory, with forward slashes.
fn relative(directory: &Path, file: &Path) -> Result<String, FitError> {
    let absolute = |path: &Path| {
        path.canonicalize().map_err(|source| FitError::Io {
            path: path.to_owned(),
            source,
        })
    };
    relative::path(&absolute(directory)?, &absolute(file)?).ok_or_else(|| FitError::NotRelative {
        path: PathBuf::from(file),
        run_dir: PathBuf::from(directory),
    })
}

#[cfg(test)]
mod tests {
    use super::super::lock::{is_occupied, occupy};
    use super::*;

    #[test]
    fn files_are_named_relative_to_the_run() {
        let work = tempfile::tempdir().unwrap();
        let run = work.path().join("segresnet_0");
        std::fs::create_dir(&run).unwrap();
        for (file, expected) in [
            (work.path().join("plan.json"), "../plan.json"),
            (run.join("w.bin"), "w.bin"),
        ] {
            std::fs::write(&file, b"x").unwrap();
            assert_eq!(relative(&run, &file).unwrap(), expected);
        }
    }

    #[test]
    fn an_unfinished_start_leaves_no_trace() {
        let work = tempfile::tempdir().unwrap();
        let run = work.path().join("segresnet_0");
        let digest = String::new;
        let identity = Identity {
            fold: 0,
            deploy_plan: digest(),
            train_plan: digest(),
            cases: digest(),
        };
        let _occupied = occupy(&run).unwrap();
        assert!(find_resume_state(&run, &identity).unwrap().is_none());
        std::fs::write(run.join(METRICS_FILE), b"epoch\n1\n").unwrap();
        assert!(find_resume_state(&run, &identity).unwrap().is_none());
        assert!(!run.join(METRICS_FILE).exists());
        assert!(is_occupied(&run) && super::super::status(&run, None).is_none());
    }
}
