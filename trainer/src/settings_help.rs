//! Settings in the help of commands.

use vesal_trainer::settings::{self, Group};

use crate::wrap::wrap;

/// Names of all settings by group, for the help of `--set`.
pub fn settings_help() -> String {
    let names = |group: Group| {
        let all = settings::all().iter().map(|setting| setting.definition());
        let of_group = all.filter(|definition| definition.group == group);
        let names: Vec<_> = of_group.map(|definition| definition.name).collect();
        wrap(&format!("  {:<14}", group.name()), &names.join(", "))
    };
    let lines: Vec<_> = Group::ALL.into_iter().flat_map(names).collect();
    format!(
        "Settings, in task.yaml or with --set NAME=VALUE; `vesal-train settings` explains them:\n{}",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_in_the_help() {
        let help = settings_help();
        for name in settings::Overrides::NAMES {
            assert!(help.contains(name), "{name}");
        }
    }
}
