//! `vesal-train plan`.

use serde_json::json;
use vesal_cli::stdout::{print, print_json};
use vesal_cli::{Exit, Failure, Text, stderr};
use vesal_trainer::planner::{Decision, Group};

use super::failure::failure;
use super::{decide_memory, prepare};
use crate::cli::PlanArguments;
use crate::wrap::wrap;

/// Columns of a decision's name.
const NAME_WIDTH: usize = 26;

/// Plans again and writes the plans.
pub fn run(arguments: &PlanArguments) -> Result<Exit, Failure> {
    let mut work = prepare(&arguments.work, None, Some(&arguments.settings))?;
    decide_memory(
        &mut work,
        arguments.settings.device_memory,
        &arguments.device,
        true,
    )?;
    let (_, plans) = work
        .plan(true)
        .map_err(|error| failure(error).attempting("cannot plan"))?;
    if arguments.json {
        print_json(&json!({
            "format": "vesal-decisions",
            "format_version": 2,
            "decisions": plans.reasons,
        }))?;
    } else if arguments.explain {
        print(&explain(&plans.reasons))?;
    }
    stderr::say("wrote deploy_plan.json and train_plan.json");
    Ok(Exit::Success)
}

/// Every decision, its rule and its facts, by group.
fn explain(decisions: &[Decision]) -> Text {
    let mut text = Text::new();
    for group in Group::ALL {
        let mut of_group = decisions
            .iter()
            .filter(|decision| decision.group == group)
            .peekable();
        if of_group.peek().is_none() {
            continue;
        }
        if !text.as_str().is_empty() {
            text.blank();
        }
        text.line(group.to_string().to_uppercase());
        for decision in of_group {
            let name = format!("  {:<NAME_WIDTH$}", decision.name);
            let mut lines = wrap(&name, &decision.value_text());
            lines.extend(wrap("      rule: ", decision.rule));
            if !decision.because.is_empty() {
                lines.extend(wrap("      here: ", &decision.because));
            }
            for line in lines {
                text.line(line);
            }
        }
    }
    text
}
