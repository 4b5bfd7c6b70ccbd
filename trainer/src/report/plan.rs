//! Decisions with their reasons.

use super::page::{Section, escaped, with_code};
use crate::planner::{Decision, Group};
use crate::work_dir::{PlanReasons, WorkDir, WorkError};

/// Tables of decisions by topic.
pub fn section(work: &WorkDir) -> Result<Section, WorkError> {
    let mut section = Section::new("plan", "Plan");
    let command = "vesal-train plan --work-dir DIR";
    if !work.is_planned() {
        section.missing("There is no plan yet.", command);
        return Ok(section);
    }
    let plans = work.decisions()?;
    let several = plans.len() > 1;
    for PlanReasons {
        algorithm,
        decisions,
    } in plans
    {
        let name = several.then_some(algorithm.name);
        if let Some(name) = name {
            section.heading(&format!("Algorithm {name}"));
        }
        match decisions {
            Some(decisions) => tables(&mut section, &decisions, name),
            None => section.missing(
                "The plan was made from other data stats, settings or rules than those of now, so its reasons cannot be told.",
                command,
            ),
        }
    }
    for (algorithm, reason) in work.skipped() {
        section.note(&format!("{}: skipped, because {reason}.", algorithm.name));
    }
    Ok(section)
}

/// Adds a table for each topic, with the algorithm's name if there are several algorithms.
fn tables(section: &mut Section, decisions: &[Decision], algorithm: Option<&str>) {
    let set = decisions
        .iter()
        .filter(|decision| decision.is_set())
        .count();
    if set > 0 {
        section.markup(&format!(
            "<p><span class=\"tag set\">set by you</span> {set} of {} decisions; the others follow from rules.</p>",
            decisions.len()
        ));
    }
    for group in Group::ALL {
        let rows: String = decisions
            .iter()
            .filter(|decision| decision.group == group)
            .map(row)
            .collect();
        if rows.is_empty() {
            continue;
        }
        let name = group.to_string();
        let title = name[..1].to_uppercase() + &name[1..];
        let (heading, of_algorithm) = match algorithm {
            None => (title, String::new()),
            Some(algorithm) => (format!("{title}, {algorithm}"), format!(" of {algorithm}")),
        };
        section.heading(&heading);
        section.markup(&format!(
            "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"Decisions{of_algorithm}: {name}\"><table><thead><tr>\
             <th scope=\"col\">Decision</th><th scope=\"col\">Value</th><th scope=\"col\">Rule</th>\
             <th scope=\"col\">Here</th></tr></thead><tbody>{rows}</tbody></table></div>"
        ));
    }
}

fn row(decision: &Decision) -> String {
    let rule = if decision.is_set() {
        "<span class=\"tag set\">set by you</span>".to_owned()
    } else {
        with_code(decision.rule)
    };
    format!(
        "<tr><th scope=\"row\"><code>{}</code></th><td class=\"v\">{}</td><td>{rule}</td><td>{}</td></tr>\n",
        escaped(decision.name),
        escaped(&decision.value_text()),
        with_code(&decision.because)
    )
}
