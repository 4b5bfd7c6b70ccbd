//! `vesal-train status`.

use serde_json::{Value, json};
use vesal_bundle::work_dir::RunId;
use vesal_cli::stdout::{print, print_json};
use vesal_cli::{Columns, Exit, Failure, Text};
use vesal_trainer::comparison::Comparison;
use vesal_trainer::fit::{RunStatus, state};
use vesal_trainer::work_dir::{RunNames, WorkDir};

use super::comparison_table::comparison_table;
use super::failure::failure;
use crate::cli::StatusArguments;

/// Prints the progress of every run.
pub fn run(arguments: &StatusArguments) -> Result<Exit, Failure> {
    let work = WorkDir::open(&arguments.work_dir, None).map_err(|error| {
        failure(error).attempting(format!("cannot show `{}`", arguments.work_dir.display()))
    })?;
    let names = RunNames::among(&work.runs());
    let runs: Vec<_> = work
        .runs()
        .into_iter()
        .map(|run| {
            let status = work.run_status(&run);
            (run, status)
        })
        .collect();
    // A run whose scores cannot be read counts as one without.
    let scores = runs.iter().filter_map(|(run, _)| {
        let scores = work.scores(std::slice::from_ref(run));
        scores.ok()?.pop()
    });
    let comparison = Comparison::of_work_dir(&work, &scores.collect::<Vec<_>>());
    if arguments.json {
        let runs: Vec<_> = runs
            .iter()
            .map(|(run, status)| json(run, status.as_ref()))
            .collect();
        print_json(&json!({
            "format": "vesal-status",
            "format_version": 1,
            "analyzed": work.is_analyzed(),
            "planned": work.is_planned(),
            "skipped": work.skipped().map(|(algorithm, reason)| json!({
                "algorithm": algorithm.name,
                "reason": reason,
            })).collect::<Vec<_>>(),
            "runs": runs,
            "algorithms": comparison.algorithms,
            "differences": comparison.differences,
            "same_cases": comparison.same_cases,
        }))?;
        return Ok(Exit::Success);
    }
    let done = |yes: bool| if yes { "done" } else { "to do" };
    let mut text = Text::new();
    text.line(format!("analysis: {}", done(work.is_analyzed())));
    text.line(format!("plan: {}", done(work.is_planned())));
    for (algorithm, reason) in work.skipped() {
        text.line(format!("{}: skipped, because {reason}", algorithm.name));
    }
    let header = ["state", "epoch", "best Dice", "at epoch", "steps/s", "left"];
    let mut header = header.map(str::to_owned).to_vec();
    let of_run = names.columns("algorithm", "fold");
    header.splice(..0, of_run.into_iter().map(str::to_owned));
    let mut rows = vec![header];
    rows.extend(runs.iter().map(|(run, status)| {
        let mut cells = names.cells(run);
        cells.extend(row(status.as_ref()));
        cells
    }));
    text.columns(&rows, Columns::Numbers);
    if comparison.has_several_algorithms() {
        let table = comparison_table(&comparison, &[]);
        text.blank().append(table);
    }
    print(&text)?;
    Ok(Exit::Success)
}

fn json(run: &RunId, status: Option<&RunStatus>) -> Value {
    json!({
        "algorithm": run.algorithm,
        "fold": run.fold,
        "state": state(status),
        "epoch": status.map_or(0, |status| status.epoch),
        "step": status.map_or(0, |status| status.step),
        "num_epochs": status.map(|status| status.num_epochs),
        "best_dice": status.and_then(|status| status.best_dice),
        "best_epoch": status.and_then(|status| status.best_epoch),
        "steps_per_second": status.and_then(|status| status.steps_per_second),
        "seconds_left": status.and_then(|status| status.seconds_left),
    })
}

fn row(status: Option<&RunStatus>) -> Vec<String> {
    let cell = |text: &dyn Fn(&RunStatus) -> Option<String>| {
        status.and_then(text).unwrap_or_else(|| "-".to_owned())
    };
    vec![
        state(status).to_owned(),
        cell(&|status| Some(format!("{}/{}", status.epoch, status.num_epochs))),
        cell(&|status| status.best_dice.map(|dice| format!("{dice:.4}"))),
        cell(&|status| status.best_epoch.map(|epoch| epoch.to_string())),
        cell(&|status| status.steps_per_second.map(|rate| format!("{rate:.2}"))),
        cell(&|status| status.seconds_left.map(duration)),
    ]
}

/// A duration in its two largest units.
fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_units() {
        let told = [0.4, 59.0, 61.0, 3_660.0, 90_000.0].map(duration);
        assert_eq!(told, ["0 s", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }
}
