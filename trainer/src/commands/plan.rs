//! `vesal-train plan`.

use std::fmt::Write as _;

use serde_json::json;
use vesal_cli::stdout::{print, print_json};
use vesal_cli::{Exit, Failure};
use vesal_trainer::planner::Decision;

use super::{failure, prepare};
use crate::cli::PlanArguments;

/// Plans anew and writes the plans.
pub fn run(arguments: &PlanArguments) -> Result<Exit, Failure> {
    let mut work = prepare(&arguments.work, None, Some(&arguments.settings))?;
    let (_, plans) = work
        .plan(true)
        .map_err(|error| failure(error).attempting("cannot plan"))?;
    if arguments.json {
        print_json(&json!({
            "format": "vesal-decisions",
            "format_version": 1,
            "decisions": plans.reasons,
        }))?;
    } else if arguments.explain {
        print(&explain(&plans.reasons))?;
    }
    eprintln!("wrote deploy_plan.json and train_plan.json");
    Ok(Exit::Success)
}

/// Every decision, its rule and its facts.
fn explain(decisions: &[Decision]) -> String {
    let mut text = String::new();
    for Decision {
        name,
        value,
        rule,
        because,
    } in decisions
    {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {value}\n    rule: {rule}");
        if !because.is_empty() {
            let _ = writeln!(text, "    here: {because}");
        }
    }
    text
}
