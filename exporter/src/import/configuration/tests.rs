//! Tests of configurations.

use std::fs;

use serde_json::json;

use super::*;

fn configuration(value: Value) -> Configuration {
    let Value::Object(root) = value else {
        panic!("no mapping")
    };
    Configuration::new(root)
}

#[test]
fn references_and_constants_are_replaced_and_code_stays_text() {
    let config = configuration(json!({
        "bundle_root": "/somewhere",
        "training": {"roi": [96, 96, "@size"], "softmax": "$ @flag ", "sizes": ["$None", "$1.5", "$True"]},
        "size": "$@other::deep#0",
        "other": {"deep": [32]},
        "flag": false,
        "device": "$torch.device('cuda')",
        "path": "$@bundle_root + '/model.pt'",
        "mail": "a@b",
    }));
    let get = |key| config.get(key).unwrap();
    assert_eq!(get("training#roi"), Some(json!([96, 96, 32])));
    assert_eq!(get("training::roi::2"), Some(json!(32)));
    assert_eq!(get("training#softmax"), Some(json!(false)));
    assert_eq!(get("training#sizes"), Some(json!([null, 1.5, true])));
    assert_eq!(get("training#sizes#0"), None);
    assert_eq!(get("training#sizes#7"), None);
    assert_eq!(get("nothing"), None);
    for key in ["device", "path", "mail"] {
        assert_eq!(get(key), Some(config.root[key].clone()), "{key}");
    }
    assert_eq!(config.first(&["nothing", "size"]).unwrap(), Some(json!(32)));
}

#[test]
fn references_to_nothing_or_without_end_are_errors() {
    let config = configuration(json!({
        "a": ["@b"], "b": {"c": "@a"}, "lost": "@missing#x",
    }));
    assert!(matches!(
        config.get("a"),
        Err(ConfigurationError::Depth { .. })
    ));
    assert!(
        matches!(config.get("lost"), Err(ConfigurationError::Unknown { key }) if key == "missing#x")
    );
    assert!(config.all().is_err());
    let fine = configuration(json!({"fine": "@other", "other": 2, "none": null}));
    let all = fine.all().unwrap();
    assert_eq!(Value::Object(all), json!({"fine": 2, "other": 2}));
    // Every level refers to the one before ten times.
    let mut bomb = serde_json::Map::from_iter([("l0".to_owned(), json!("xxxxxxxxxx"))]);
    for level in 1..12 {
        let reference = format!("@l{}", level - 1);
        bomb.insert(format!("l{level}"), json!(vec![reference; 10]));
    }
    assert!(matches!(
        Configuration::new(bomb).get("l11"),
        Err(ConfigurationError::Size { .. })
    ));
    // Many values that are each within the limit.
    let mut many = serde_json::Map::from_iter([("long".to_owned(), json!("x".repeat(10_000)))]);
    for index in 0..200 {
        many.insert(format!("copy{index}"), json!("@long"));
    }
    let many = Configuration::new(many);
    assert!(many.get("copy7").unwrap().is_some());
    assert!(matches!(many.all(), Err(ConfigurationError::Size { .. })));
}

#[test]
fn files_are_read_in_order_and_within_bounds() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = place.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let first = file("a.yaml", "---\nroi: [1, 2, 3]\nkept: 7\n1: one\n");
    let second = file("b.json", "{\"roi\": [4, 5, 6]}");
    let config = read(&[first, second]).unwrap();
    assert_eq!(config.get("roi").unwrap(), Some(json!([4, 5, 6])));
    assert_eq!(config.get("kept").unwrap(), Some(json!(7)));
    assert_eq!(config.get("1").unwrap(), Some(json!("one")));

    let mut aliases = "a0: &a0 [xxxxxxxxxx, xxxxxxxxxx, xxxxxxxxxx]\n".to_owned();
    for level in 1..9 {
        let alias = format!("*a{}", level - 1);
        aliases += &format!("a{level}: &a{level} [{}]\n", vec![alias; 9].join(", "));
    }
    let deep = format!("a: {}{}", "[".repeat(70), "]".repeat(70));
    for (text, expected) in [
        (aliases.as_str(), "is no configuration"),
        (&deep, "exceeds what is read"),
        ("[1, 2]", "expected a mapping"),
        ("a: [", "is no configuration"),
        ("a: &a [*a]", "is no configuration"),
        ("? [1]\n: 2", "is no configuration"),
        ("a: &a {b: 1}\nc: {<<: *a}", "is no configuration"),
        ("\"a#b\": 1", "by the key `a#b`"),
        ("\"a::b\": 1", "by the key `a::b`"),
        ("a: 1\nb: 2\na: 1", "is no configuration"),
        ("+a: [1]", "by the key `+a`"),
        ("~a: null", "by the key `~a`"),
    ] {
        let error = read(&[file("c.yaml", text)]).unwrap_err();
        assert!(error.to_string().contains(expected), "{text:.60}: {error}");
    }
    let surrogates = file("c.json", r#"{"a": "\ud83d\ude00"}"#);
    let found = read(&[surrogates]).unwrap();
    assert_eq!(found.get("a").unwrap(), Some(json!("\u{1f600}")));
    let long = format!("[{}1]", "1, ".repeat(1 << 19));
    for (text, expected) in [
        ("a: 1", "is no configuration"),
        ("{\"a\": 1} 2", "is no configuration"),
        ("{\"a\": {\"b\": 1, \"b\": 1}}", "is no configuration"),
        (&"[".repeat(100_000), "is no configuration"),
        (&long, "exceeds what is read"),
        ("{\"a#b\": 1}", "by the key `a#b`"),
    ] {
        let error = read(&[file("c.JSON", text)]).unwrap_err();
        assert!(error.to_string().contains(expected), "{text:.60}: {error}");
    }
    let error = read(&[place.path().join("absent.yaml")]).unwrap_err();
    assert!(error.to_string().contains("cannot read"), "{error}");
}

#[test]
fn no_damage_to_a_file_makes_it_panic() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a.yaml");
    let intact = "a: &x [1, 2.5, '@b#0', \"$None\"]\nb:\n- {c: *x, d: \"@a\"}\n- text # comment\n";
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut read_some = false;
    for _ in 0..400 {
        let mut bytes = intact.as_bytes().to_vec();
        for _ in 0..1 + random(3) {
            let at = random(bytes.len());
            bytes[at] = b"@$#&*[]{}:'\"\n -0aZ\xff"[random(19)];
        }
        fs::write(&path, &bytes).unwrap();
        if let Ok(config) = read(std::slice::from_ref(&path)) {
            read_some |= config.all().is_ok();
            let _ = config.first(&["a#2", "b#0#d"]);
        }
    }
    assert!(read_some);
}
