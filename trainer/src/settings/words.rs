//! Descriptions of settings in words.

use super::setting::{AnySetting, Scale, Search};
use super::value::Type;

/// Type and range in words.
pub fn value_of(setting: &dyn AnySetting) -> String {
    let value_type = setting.value_type();
    match setting.expected() {
        "" => value_type.to_string(),
        // The range of a number may include the type.
        expected if matches!(value_type, Type::Number) && expected.contains("number") => {
            expected.to_owned()
        }
        expected => format!("{value_type}: {expected}"),
    }
}

/// Domain of a search in words.
pub fn searched(setting: &dyn AnySetting) -> Option<String> {
    Some(match setting.definition().search? {
        Search::Range { low, high, scale } => {
            let scale = match scale {
                Scale::Linear => "linear",
                Scale::Log => "logarithmic",
            };
            format!("{low} to {high}, {scale}")
        }
        Search::All => "every value".to_owned(),
    })
}
