//! Names of settings in the help of commands.

use vesal_trainer::settings::{self, Category};

use crate::wrap::wrap;

/// Names of all settings by category, for the help of `--set`.
pub fn settings_help() -> String {
    let names = |category: Category| {
        let all = settings::all().iter().map(|setting| setting.definition());
        let of_category = all.filter(|definition| definition.category == category);
        let names: Vec<_> = of_category.map(|definition| definition.name).collect();
        wrap(&format!("  {:<14}", category.name()), &names.join(", "))
    };
    let lines: Vec<_> = Category::ALL.into_iter().flat_map(names).collect();
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
