//! `vesal-train status`.

use serde_json::json;
use vesal_cli::stdout::{print, print_json};
use vesal_cli::{Exit, Failure};
use vesal_trainer::fit::{self, RunStatus};
use vesal_trainer::run_dir::WorkDir;

use super::{failure, table};
use crate::cli::StatusArguments;

/// Prints how far every fold is.
pub fn run(arguments: &StatusArguments) -> Result<Exit, Failure> {
    let work = WorkDir::open(&arguments.work_dir, None).map_err(|error| {
        failure(error).attempting(format!("cannot show `{}`", arguments.work_dir.display()))
    })?;
    let runs: Vec<_> = work
        .folds()
        .iter()
        .map(|&fold| (fold, fit::status(&work.run_dir(fold))))
        .collect();
    if arguments.json {
        let runs: Vec<_> = runs
            .iter()
            .map(|(fold, status)| {
                json!({
                    "fold": fold,
                    "state": state(status.as_ref()),
                    "epoch": status.as_ref().map_or(0, |status| status.epoch),
                    "num_epochs": status.as_ref().map(|status| status.num_epochs),
                    "best_dice": status.as_ref().and_then(|status| status.best_dice),
                    "best_epoch": status.as_ref().and_then(|status| status.best_epoch),
                })
            })
            .collect();
        print_json(&json!({
            "format": "vesal-status",
            "format_version": 1,
            "analyzed": work.is_analyzed(),
            "planned": work.is_planned(),
            "runs": runs,
        }))?;
        return Ok(Exit::Success);
    }
    let done = |yes: bool| if yes { "done" } else { "to do" };
    let mut text = format!(
        "analysis: {}\nplan: {}\n",
        done(work.is_analyzed()),
        done(work.is_planned())
    );
    let mut rows = vec![
        ["fold", "state", "epoch", "best Dice", "at epoch"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (fold, status) in &runs {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let epoch = status
            .as_ref()
            .map(|status| format!("{}/{}", status.epoch, status.num_epochs));
        let dice = status
            .as_ref()
            .and_then(|status| status.best_dice)
            .map(|dice| format!("{dice:.4}"));
        let at = status
            .as_ref()
            .and_then(|status| status.best_epoch)
            .map(|epoch| epoch.to_string());
        let state = state(status.as_ref()).to_owned();
        rows.push(vec![
            fold.to_string(),
            state,
            or_dash(epoch),
            or_dash(dice),
            or_dash(at),
        ]);
    }
    text.push_str(&table(&rows));
    print(&text)?;
    Ok(Exit::Success)
}

fn state(status: Option<&RunStatus>) -> &'static str {
    match status {
        None => "to do",
        Some(status) if status.finished => "done",
        Some(_) => "begun",
    }
}
