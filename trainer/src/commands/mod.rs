//! One module per command, and functions that several of them share.

pub mod analyze;
pub mod auto;
pub mod bench;
mod comparison_table;
pub mod datalist;
mod failure;
mod findings;
pub mod fit;
pub mod history;
pub mod plan;
mod progress;
pub mod report;
mod score_table;
pub mod scores;
pub mod settings;
pub mod status;

use vesal_cli::{Exit, Failure, stderr};
use vesal_trainer::analyze::Measures;
use vesal_trainer::analyze::stats::ExcludedCase;
use vesal_trainer::fit::{TrainDevice, TrainDevices};
use vesal_trainer::memory::{self, MemoryBudget, MemorySource};
use vesal_trainer::planner::Budget;
use vesal_trainer::work_dir::{Made, Request, WorkDir, WorkError};

use crate::cli::{MemoryArgument, SetUpArguments, SettingArguments, WorkArguments};
use failure::{failure, fit_failure};
use findings::{count, summary, tell};
use progress::AnalysisProgress;

fn prepare(
    work: &WorkArguments,
    set_up: Option<&SetUpArguments>,
    settings: Option<&SettingArguments>,
) -> Result<WorkDir, Failure> {
    let input = set_up.and_then(|set_up| set_up.task.input.as_deref());
    if let Some(folder) = input.filter(|input| input.is_dir()) {
        return Err(datalist::input_is_folder(folder));
    }
    let request = Request {
        input,
        datalist: set_up.and_then(|set_up| set_up.task.datalist.as_deref()),
        modality: set_up.and_then(|set_up| set_up.modality),
        folds: set_up.and_then(|set_up| set_up.folds),
        algorithms: settings.and_then(|settings| settings.algorithms.as_deref()),
        settings: settings
            .map(|settings| settings.settings.as_slice())
            .unwrap_or_default(),
        dataroot: work.dataroot.as_deref(),
        host_memory_gib: settings.and_then(|settings| settings.max_ram),
    };
    let attempt = format!(
        "cannot prepare the work directory `{}`",
        work.work_dir.display()
    );
    let work = WorkDir::prepare(&work.work_dir, &request)
        .map_err(|error| failure(error).attempting(attempt))?;
    for remark in work.remarks() {
        match remark.is_warning() {
            true => stderr::warning(remark.to_string()),
            false => stderr::note(remark.to_string()),
        }
    }
    Ok(work)
}

/// Decides which memory to plan for: the requested amount, or the remembered one, or that of the devices.
///
/// If there are plans, their budget is kept unless planning is done `again`; then a GPU takes precedence over a machine
/// without one.
fn decide_memory(
    work: &mut WorkDir,
    asked: Option<MemoryArgument>,
    devices: &TrainDevices,
    again: bool,
) -> Result<(), Failure> {
    let attempt = "cannot decide which memory to plan for";
    let remembered = work.budget();
    let is_known = match remembered.source {
        MemorySource::Set | MemorySource::Cuda => true,
        MemorySource::Ram => devices.first() == TrainDevice::Cpu,
        MemorySource::Default => false,
    };
    let found = match asked {
        Some(MemoryArgument::Gib(gib)) => MemoryBudget::set(gib),
        None if is_known || (work.is_planned() && !again) => return Ok(()),
        None | Some(MemoryArgument::Detect) => memory::detect(devices)
            .map_err(|error| fit_failure(error.into()).attempting(attempt))?,
    };
    let budget = Budget {
        device_memory_gib: found.gib,
        source: found.source,
        ..remembered
    };
    if budget == remembered {
        return Ok(());
    }
    work.set_budget(budget)
        .map_err(|error| failure(error).attempting(attempt))
}

/// Runs the analysis if needed, and prints the findings: those of an earlier analysis in a line.
fn analyze_cases(work: &mut WorkDir) -> Result<Vec<ExcludedCase>, Failure> {
    analyze_watched(work, |work, observe| work.analyze(false, observe))
}

/// Runs the analysis again with these measures, and prints the findings.
fn analyze_cases_with(
    work: &mut WorkDir,
    measures: Measures,
) -> Result<Vec<ExcludedCase>, Failure> {
    analyze_watched(work, |work, observe| {
        work.analyze_with(measures, true, observe)
    })
}

fn analyze_watched(
    work: &mut WorkDir,
    analyze: impl FnOnce(&mut WorkDir, &dyn Fn(&str)) -> Result<(Made, Vec<ExcludedCase>), WorkError>,
) -> Result<Vec<ExcludedCase>, Failure> {
    let progress = AnalysisProgress::new(work.cases());
    let done = analyze(work, &|case| progress.case_done(case));
    drop(progress);
    if let Ok(_) | Err(WorkError::Analyze(_)) = &done {
        let (found, path) = (work.findings().map_err(failure)?, work.findings_path());
        stderr::print(&match &done {
            Ok((Made::Before, _)) => summary(&found, &path),
            _ => tell(&found, &path),
        });
    }
    let (made, excluded) =
        done.map_err(|error| failure(error).attempting("cannot analyze the cases"))?;
    let usable = count(work.cases() - excluded.len(), "case");
    match made {
        Made::Now => stderr::say(format!("analyzed {usable}")),
        Made::Before => stderr::say(format!("{usable} analyzed before")),
    }
    if let Some(classes) = work.found_classes() {
        let names = classes.names().join(", ");
        stderr::note(format!(
            "no class is named, so the classes are the labels that occur: {names}"
        ));
    }
    Ok(excluded)
}

/// The exit code of a command that left out these cases.
fn exit(excluded: &[ExcludedCase]) -> Exit {
    if excluded.is_empty() {
        Exit::Success
    } else {
        Exit::FailedCases
    }
}
