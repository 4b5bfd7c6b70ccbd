//! The documents that are generated from the registry of settings are up to date.

use std::path::Path;

use vesal_trainer::settings;

#[track_caller]
fn is_up_to_date(file: &str, flag: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(file);
    let found = std::fs::read_to_string(path).unwrap_or_default();
    // A checkout may have other line endings.
    assert!(
        found.replace("\r\n", "\n") == expected,
        "docs/{file} is out of date: run `cargo run -p vesal-trainer -- settings {flag} > docs/{file}`"
    );
}

#[test]
fn the_page_says_what_the_registry_says() {
    is_up_to_date("settings.md", "--markdown", &settings::markdown());
}

#[test]
fn the_schema_says_what_the_registry_says() {
    let schema = serde_json::to_string_pretty(&settings::schema()).unwrap();
    is_up_to_date("settings.schema.json", "--schema", &format!("{schema}\n"));
}
