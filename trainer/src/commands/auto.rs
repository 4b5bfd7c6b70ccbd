//! `vesal-train auto`.

use vesal_cli::stdout::print;
use vesal_cli::{Exit, Failure};
use vesal_trainer::run_dir::{Made, WorkError};

use super::fit::Trainings;
use super::scores::score_table;
use super::{analyze_cases, exit, failure, prepare};
use crate::cli::AutoArguments;

/// Does every stage that is not done yet and prints the scores.
pub fn run(arguments: &AutoArguments) -> Result<Exit, Failure> {
    let mut work = prepare(
        &arguments.work,
        Some(&arguments.set_up),
        Some(&arguments.settings),
    )?;
    let folds = match arguments.only_folds.as_slice() {
        [] => work.folds().to_vec(),
        chosen => chosen.to_vec(),
    };
    if let Some(&found) = folds.iter().find(|fold| !work.folds().contains(fold)) {
        return Err(failure(WorkError::NoSuchFold {
            found,
            folds: work.folds().to_vec(),
        }));
    }
    let excluded = analyze_cases(&mut work)?;
    let (made, plans) = work
        .plan(false)
        .map_err(|error| failure(error).attempting("cannot plan"))?;
    let plan = plans.train;
    let state = if made == Made::Now {
        "planned"
    } else {
        "planned before"
    };
    eprintln!(
        "{state}: patches of {:?} voxels, {} epochs; `vesal-train plan --explain` tells why",
        plan.roi_size, plan.num_epochs
    );
    if !Trainings::new(&work)?.fit_all(&folds, &arguments.device)? {
        return Ok(Exit::Interrupted);
    }
    print(&score_table(&work, &folds)?)?;
    Ok(exit(&excluded))
}
