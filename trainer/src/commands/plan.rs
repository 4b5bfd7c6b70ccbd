//! `vesal-train plan`.

use serde_json::{Value, json};
use vesal_cli::stdout::{print, print_json};
use vesal_cli::{Exit, Failure, Text, stderr};
use vesal_trainer::planner::{Decision, Group};
use vesal_trainer::work_dir::{PlanOutcome, Planning};

use super::failure::failure;
use super::{decide_memory, prepare};
use crate::cli::PlanArguments;
use crate::wrap::wrap;

/// Width of the column with the decisions' names, in characters.
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
    let plannings = work
        .plan(true)
        .map_err(|error| failure(error).attempting("cannot plan"))?;
    if arguments.json {
        print_json(&document(&plannings))?;
    } else if arguments.explain {
        print(&explanation(&plannings))?;
    }
    for Planning { algorithm, outcome } in &plannings {
        let name = algorithm.name;
        match outcome {
            PlanOutcome::Planned { .. } => {
                stderr::say(format!(
                    "wrote deploy_plan.json and train_plan.json to {name}/"
                ));
            }
            PlanOutcome::Skipped { reason } => {
                stderr::note(format!("{name}: skipped, because {reason}"));
            }
        }
    }
    Ok(Exit::Success)
}

/// The decisions as JSON: those of one algorithm, or several by algorithm name.
fn document(plannings: &[Planning]) -> Value {
    let mut document = json!({"format": "vesal-decisions", "format_version": 2});
    if let [Planning { outcome, .. }] = plannings {
        if let PlanOutcome::Planned { plans, .. } = outcome {
            document["decisions"] = json!(plans.reasons);
        }
        return document;
    }
    let of_algorithm = |Planning { algorithm, outcome }: &Planning| match outcome {
        PlanOutcome::Planned { plans, .. } => {
            json!({"algorithm": algorithm.name, "decisions": plans.reasons})
        }
        PlanOutcome::Skipped { reason } => {
            json!({"algorithm": algorithm.name, "skipped": reason})
        }
    };
    document["algorithms"] = plannings.iter().map(of_algorithm).collect();
    document
}

/// The decisions as text, under the algorithm's name where there are several.
fn explanation(plannings: &[Planning]) -> Text {
    let mut text = Text::new();
    for Planning { algorithm, outcome } in plannings {
        if plannings.len() > 1 {
            if !text.as_str().is_empty() {
                text.blank();
            }
            text.line(algorithm.name);
        }
        match outcome {
            PlanOutcome::Planned { plans, .. } => {
                text.append(explain(&plans.reasons));
            }
            PlanOutcome::Skipped { reason } => {
                text.line(format!("  skipped, because {reason}"));
            }
        }
    }
    text
}

/// Decisions with rules and facts, by group.
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
