use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
    #[serde(default)]
    scale: Option<f32>,
}

impl VersionedDocument for Note {
    const FORMAT: &str = "note";
    const VERSION: u32 = 2;
    const MAX_BYTES: u64 = 200;
}

fn parsed(json: &str) -> Result<Note, DocumentError> {
    parse(json.as_bytes(), "note.json")
}

#[test]
fn the_header_stands_before_the_fields_and_comes_off_again() {
    let note = Note {
        text: "a\nb".into(),
        scale: Some(0.1),
    };
    let bytes = to_json(&note, "note.json").unwrap();
    assert_eq!(
        String::from_utf8(bytes.clone()).unwrap(),
        "{\n  \"format\": \"note\",\n  \"format_version\": 2,\n  \"text\": \"a\\nb\",\n  \"scale\": 0.1\n}\n"
    );
    assert_eq!(parse::<Note>(&bytes, "note.json").unwrap(), note);
    assert_eq!(to_value(&note).unwrap()["format_version"], 2);
}

#[test]
fn the_header_may_stand_anywhere() {
    let note = parsed(r#"{"text": "x", "format_version": 2, "scale": null, "format": "note"}"#);
    assert_eq!(note.unwrap().text, "x");
}

#[test]
fn format_and_version_are_looked_at_before_any_field() {
    let error = parsed(r#"{"format": "letter", "format_version": 2, "strange": 1}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"`note.json` has the format "letter", expected "note""#
    );
    for (version, hint) in [(1, "an older"), (3, "a newer")] {
        let json = format!(r#"{{"format": "note", "format_version": {version}, "strange": 1}}"#);
        let error = parsed(&json).unwrap_err();
        assert!(matches!(error, DocumentError::Version { .. }), "{error}");
        assert!(error.hint().unwrap().starts_with(hint));
    }
}

#[test]
fn a_wrong_field_is_reported_with_its_place() {
    for (json, expected) in [
        (
            r#"{"format": "note", "format_version": 2}"#,
            "missing field `text` at line 1",
        ),
        (
            r#"{"format": "note", "format_version": 2, "text": "", "strange": 1}"#,
            "unknown field `strange`, expected `text` or `scale` at line 1",
        ),
        (
            r#"{"format": "note", "format_version": 2, "text": "", "text": ""}"#,
            "duplicate field `text` at line 1",
        ),
        (
            r#"{"format": "note", "format": "note", "format_version": 2, "text": ""}"#,
            "duplicate field `format` at line 1",
        ),
        (
            r#"["note", 2]"#,
            "invalid type: sequence, expected an object",
        ),
        (r#"{"text": ""}"#, "missing field `format` at line 1"),
    ] {
        let DocumentError::Json { source, .. } = parsed(json).unwrap_err() else {
            panic!("{json}");
        };
        assert!(source.to_string().starts_with(expected), "{source}");
    }
}

#[test]
fn a_document_beyond_its_limit_is_not_decoded() {
    let long = format!(r#"{{"text": "{}"}}"#, "x".repeat(200));
    assert!(matches!(
        parsed(&long),
        Err(DocumentError::TooLarge {
            limit_bytes: 200,
            ..
        })
    ));
}

#[test]
fn a_file_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("note.json");
    let note = Note {
        text: "x".into(),
        scale: None,
    };
    write(&path, &note).unwrap();
    assert_eq!(read::<Note>(&path).unwrap(), note);
    let absent = read::<Note>(&folder.path().join("absent")).unwrap_err();
    assert!(matches!(absent, DocumentError::Read { .. }));
}
