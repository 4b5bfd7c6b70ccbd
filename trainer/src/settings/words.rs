//! Settings in words.

use super::setting::{AnySetting, Scale, Search};
use super::value::Type;

/// Type and range in words.
pub fn value_of(setting: &dyn AnySetting) -> String {
    let value_type = setting.value_type();
    match setting.expected() {
        "" => value_type.to_string(),
        // A range of numbers may say the type as well.
        expected if matches!(value_type, Type::Number) && expected.contains("number") => {
            expected.to_owned()
        }
        expected => format!("{value_type}: {expected}"),
    }
}

/// What a search may try, in words.
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
