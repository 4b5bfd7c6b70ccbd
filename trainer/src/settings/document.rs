//! The registry as `docs/settings.md`.

use std::fmt::Write;

use super::registry::all;
use super::setting::{AnySetting, Category};
use super::words::{searched, value_of};

const HEAD: &str = "\
# Settings

`vesal-train settings --markdown` wrote this page; change the registry of settings, not the page.

The planner decides everything from the data, the task and the memory of the device. A setting in `task.yaml`, or on the
command line as `--set NAME=VALUE`, wins over every rule; `--set NAME=` takes it back. Settings of the command line are
kept in the work directory and win over those of the task. `vesal-train settings` prints what stands here,
`vesal-train plan --explain` what was decided and why. Rules and defaults on this page are those of segresnet; where other
algorithms have their own, [training](training.md#how-decisions-are-made) says so. [settings.schema.json](settings.schema.json)
is for editors.

Another value of a setting makes another run, which needs a new run directory, but for those that say otherwise.
";

pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    for category in Category::ALL {
        let of_category = all().iter().copied();
        let of_category = of_category.filter(|setting| setting.definition().category == category);
        let mut title = category.name().to_owned();
        title[..1].make_ascii_uppercase();
        section(&mut page, &title, of_category);
    }
    page.push_str(
        "\n## Search space\n\n\
         What a search for better settings may try, `vesal-train settings --search-space`:\n\n\
         | setting | values |\n|---|---|\n",
    );
    for &setting in all() {
        if let Some(range) = searched(setting) {
            row(&mut page, &[&quoted(setting.definition().name), &range]);
        }
    }
    page
}

fn section<'a>(
    page: &mut String,
    title: &str,
    settings: impl Iterator<Item = &'a dyn AnySetting> + Clone,
) {
    // Writing to a string does not fail.
    let _ = write!(
        page,
        "\n## {title}\n\n| setting | value | default | meaning |\n|---|---|---|---|\n"
    );
    for setting in settings.clone() {
        let definition = setting.definition();
        let mut names = quoted(definition.name);
        for alias in definition.aliases {
            names.push_str(&format!(", also {}", quoted(alias)));
        }
        let mut meaning = definition.sentence().to_owned();
        if definition.same_run.is_some() {
            meaning.push_str(" A run goes on with another value.");
        }
        row(
            page,
            &[&names, &value_of(setting), definition.rule, &meaning],
        );
    }
    for setting in settings {
        let value_type = setting.value_type();
        if value_type.choices().is_empty() {
            continue;
        }
        let _ = write!(page, "\n{}:\n\n", quoted(setting.definition().name));
        for choice in value_type.choices() {
            let mut names = quoted(choice.name);
            for alias in choice.aliases {
                names.push_str(&format!(", also {}", quoted(alias)));
            }
            let _ = writeln!(page, "- {names}: {}", choice.doc.trim());
        }
    }
}

fn quoted(name: &str) -> String {
    format!("`{name}`")
}

fn row(page: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}
