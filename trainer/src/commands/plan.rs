//! `vesal-train plan`.

use serde_json::json;
use vesal_cli::stdout::{print, print_json};
use vesal_cli::{Exit, Failure, Text, stderr};
use vesal_trainer::planner::{Decision, Group};

use super::{decide_memory, failure, prepare};
use crate::cli::PlanArguments;

/// Columns of an explanation.
const WIDTH: usize = 100;
/// Columns of a decision's name.
const NAME_WIDTH: usize = 26;

/// Plans anew and writes the plans.
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
            wrap(&mut text, &name, &decision.value_text());
            wrap(&mut text, "      rule: ", decision.rule);
            if !decision.because.is_empty() {
                wrap(&mut text, "      here: ", &decision.because);
            }
        }
    }
    text
}

/// Appends words after a prefix, on lines of at most [`WIDTH`] columns.
fn wrap(text: &mut Text, prefix: &str, words: &str) {
    let mut line = prefix.to_owned();
    let mut is_new = true;
    for word in words.split(' ') {
        let fits = line.chars().count() + 1 + word.chars().count() <= WIDTH;
        if !is_new && !fits {
            text.line(line.trim_end());
            line = " ".repeat(prefix.chars().count());
            is_new = true;
        }
        if !is_new {
            line.push(' ');
        }
        line.push_str(word);
        is_new = false;
    }
    text.line(line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_rules_go_on_below_themselves() {
        let mut text = Text::new();
        wrap(&mut text, "  rule: ", &"word ".repeat(30));
        let lines: Vec<_> = text.as_str().lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= WIDTH));
        assert!(lines[0].starts_with("  rule: word") && lines[1].starts_with("        word"));
    }
}
