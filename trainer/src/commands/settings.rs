//! `vesal-train settings`.

use vesal_cli::stdout::{print, print_json};
use vesal_cli::{Exit, Failure, Text};
use vesal_trainer::settings::{self, AnySetting, Category, OverrideError};

use crate::cli::SettingsArguments;
use crate::wrap::wrap;

pub fn run(arguments: &SettingsArguments) -> Result<Exit, Failure> {
    if arguments.json {
        print_json(&settings::listing())?;
    } else if arguments.schema {
        print_json(&settings::schema())?;
    } else if arguments.search_space {
        print_json(&settings::search_space())?;
    } else if arguments.markdown {
        print(&text(settings::markdown().lines().map(str::to_owned)))?;
    } else {
        print(&text(described(&chosen(&arguments.names)?)))?;
    }
    Ok(Exit::Success)
}

/// The settings of these names; all settings where none is named.
fn chosen(names: &[String]) -> Result<Vec<&'static dyn AnySetting>, Failure> {
    if names.is_empty() {
        return Ok(settings::all().to_vec());
    }
    let find = |name: &String| {
        settings::find(name).ok_or_else(|| Failure::new(Exit::Usage, OverrideError::unknown(name)))
    };
    names.iter().map(find).collect()
}

fn text(lines: impl IntoIterator<Item = String>) -> Text {
    let mut text = Text::new();
    for line in lines {
        match line.as_str() {
            "" => text.blank(),
            line => text.line(line),
        };
    }
    text
}

/// Settings with type, range, default and meaning, by category.
fn described(settings: &[&dyn AnySetting]) -> Vec<String> {
    let mut lines = Vec::new();
    for category in Category::ALL {
        let of_category: Vec<_> = settings
            .iter()
            .filter(|setting| setting.definition().category == category)
            .collect();
        if of_category.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(category.name().to_uppercase());
        for setting in of_category {
            lines.extend(describe(*setting));
        }
    }
    lines
}

fn describe(setting: &dyn AnySetting) -> Vec<String> {
    let definition = setting.definition();
    let mut lines = vec![format!("  {}", definition.name)];
    lines.extend(wrap("      ", definition.sentence()));
    lines.extend(wrap("      value:   ", &settings::value_of(setting)));
    for choice in setting.value_type().choices() {
        let name = format!("               {:<13}", choice.name);
        lines.extend(wrap(&name, choice.doc.trim()));
    }
    lines.extend(wrap("      default: ", definition.rule));
    if !definition.aliases.is_empty() {
        lines.extend(wrap("      also:    ", &definition.aliases.join(", ")));
    }
    if definition.same_run.is_some() {
        lines.push("      run:     goes on with another value".to_owned());
    }
    if let Some(range) = settings::searched(setting) {
        lines.push(format!("      search:  {range}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_listed() {
        let listing = described(settings::all()).join("\n");
        for name in settings::Overrides::NAMES {
            assert!(listing.contains(name), "{name}");
        }
    }

    #[test]
    fn a_setting_is_described_in_full() {
        let settings = chosen(&["amp".to_owned(), "early_stopping_fraction".to_owned()]).unwrap();
        assert_eq!(
            described(&settings).join("\n"),
            "\
SCHEDULE
  early_stopping_fraction
      Relative change of the score below which the training ends early; 0: never.
      value:   number: at least 0 and below 1
      default: 0.001: after half of the epochs, end where scores of a tenth of them, at least 10,
               differ by less
      run:     goes on with another value

HARDWARE
  use_amp
      Mixed precision on GPUs: activations in f16, weights and updates in f32; processors compute in
      f32.
      value:   true or false
      default: yes, where the device can
      also:    amp"
        );
        let error = chosen(&["roi_sise".to_owned()]).err();
        assert_eq!(error.map(|error| error.exit()), Some(Exit::Usage));
    }
}
