//! Settings that can be, and that cannot.

use std::net::IpAddr;
use std::path::Path;

use crate::config::{Caller, Callers, Config, ConfigError, EXAMPLE};

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/vesal/node.toml"))
}

#[test]
fn the_example_holds_the_defaults() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(config.storage, Path::new("/etc/vesal/storage"));
    // What stands behind `# ` is the default, so that taking it in changes nothing.
    let all: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest
                    .split_once(" = ")
                    .is_some_and(|(key, _)| !key.contains(' ')) =>
            {
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let mut told = parse(&all).unwrap();
    assert!(told.limits.storage_bytes.take().is_some());
    assert_eq!(
        told.services[0].dicom_rules.take().unwrap(),
        Path::new("/etc/vesal/rules.json")
    );
    told.services[0].options.clear();
    assert!(told.services[0].bundle_sha256.take().is_some());
    assert!(told.services[0].bundle_key.take().is_some());
    assert_eq!(told.limits.run_ram.take(), Some(16_000 << 20));
    let Callers::Listed(callers) = &mut told.callers else {
        panic!("callers are listed");
    };
    assert!(callers[0].address.take().is_some());
    assert_eq!(told, config);
}

#[test]
fn the_manual_has_every_key() {
    let manual = include_str!("../../../../../docs/node.md");
    for line in EXAMPLE.lines() {
        let line = line.trim_start_matches("# ");
        match line.split_once(" = ") {
            Some((key, _)) if !key.contains(' ') => {
                assert!(manual.contains(&format!("`{key}`")), "{key}");
            }
            _ => {}
        }
    }
}

#[test]
fn unknown_keys_are_told_with_the_known_ones() {
    let text = EXAMPLE.replace("# port = 11112", "prot = 11112");
    let message = parse(&text).unwrap_err().to_string();
    assert!(
        message.contains("prot") && message.contains("`port`") && message.contains("`workers`"),
        "{message}"
    );
}

#[test]
fn values_out_of_range_name_their_key() {
    for (from, to, key) in [
        ("# port = 11112", "workers = 0", "node.workers"),
        (
            "# idle_seconds = 60",
            "idle_seconds = -1",
            "limits.idle_seconds",
        ),
        (
            "# idle_seconds = 60",
            "idle_seconds = nan",
            "limits.idle_seconds",
        ),
        ("# disk_share = 0.9", "disk_share = 90", "limits.disk_share"),
        (
            "\"SCANNER\"",
            "\"A TITLE THAT IS LONG\"",
            "caller[0].ae_title",
        ),
        (
            "destinations = [\"archive\"]",
            "destinations = [\"pacs\"]",
            "service[0].destinations",
        ),
        (
            "destinations = [\"archive\"]",
            "destinations = []",
            "service[0].destinations",
        ),
        (
            "# formats = [\"seg\"]",
            "formats = [\"nifti\"]",
            "service[0].formats",
        ),
        (
            "# formats = [\"seg\"]",
            "formats = [\"pdf\"]",
            "service[0].formats",
        ),
        (
            "# formats = [\"seg\"]",
            "formats = [\"report\"]",
            "service[0].formats",
        ),
        (
            "# geometry = \"strict\"",
            "geometry = \"flip\"",
            "service[0].geometry",
        ),
    ] {
        let text = EXAMPLE.replace(from, to);
        assert_ne!(text, EXAMPLE, "{from}");
        match parse(&text).unwrap_err() {
            ConfigError::Value { key: found, .. } => assert_eq!(found, key),
            error => panic!("{error}"),
        }
    }
    let text = EXAMPLE.split("[[service]]").next().unwrap();
    assert!(parse(text).unwrap_err().to_string().contains("service"));
}

#[test]
fn callers_are_held_against_title_and_address() {
    let here: IpAddr = "127.0.0.1".parse().unwrap();
    let there: IpAddr = "192.0.2.1".parse().unwrap();
    assert!(!Callers::Listed(Vec::new()).allow("A", here));
    assert!(Callers::Any.allow("A", here));
    let listed = Callers::Listed(vec![
        Caller {
            ae_title: "A".to_owned(),
            address: Some(here),
        },
        Caller {
            ae_title: "B".to_owned(),
            address: None,
        },
    ]);
    assert!(listed.allow("A", here) && !listed.allow("A", there));
    assert!(listed.allow("A", "::ffff:127.0.0.1".parse().unwrap()));
    assert!(listed.allow("B", there) && !listed.allow("C", here));
}
