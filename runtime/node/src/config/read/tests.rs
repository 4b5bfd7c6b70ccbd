//! Valid and invalid settings.

use std::net::IpAddr;
use std::path::Path;

use crate::config::{Caller, Callers, Config, EXAMPLE, NodeConfigError};
use crate::network::tls::TlsProfile;

fn parse(text: &str) -> Result<Config, NodeConfigError> {
    Config::parse(text, Path::new("/etc/vesal/node.toml"))
}

#[test]
fn the_example_holds_the_defaults() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(config.storage, Path::new("/etc/vesal/storage"));
    // Text after `# ` is the default, so that uncommenting it changes nothing.
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

/// The example with the optional tables enabled.
fn everything() -> String {
    let lines = EXAMPLE.lines();
    lines
        .map(|line| line.strip_prefix("## ").unwrap_or(line).to_owned() + "\n")
        .collect()
}

#[test]
fn the_example_shows_tables_that_are_off() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!((config.tls, config.sources.len()), (None, 0));
    let config = parse(&everything()).unwrap();
    let tls = config.tls.unwrap();
    assert_eq!(tls.identity.key, Path::new("/etc/vesal/node.key"));
    assert_eq!(
        tls.client_ca.as_deref(),
        Some(Path::new("/etc/vesal/callers.crt"))
    );
    assert_eq!((tls.port, tls.profile), (Some(2762), TlsProfile::Bcp195));
    let archive = &config.destinations["archive"];
    let tls = archive.tls.as_ref().unwrap();
    assert_eq!(tls.server_name.to_str(), "archive.example");
    assert_eq!(tls.ca, Path::new("/etc/vesal/archive.crt"));
    let source = &config.sources[0];
    assert_eq!(
        (source.name.as_str(), source.peer.calling_ae_title.as_str()),
        ("pacs", "VESAL")
    );
    // It answers for the listed callers; the callers of instances from before the start are unknown.
    let set = |titles: &[&str]| titles.iter().map(|&title| title.to_owned()).collect();
    assert!(source.answers_for(&set(&["SCANNER"])));
    assert!(!source.answers_for(&set(&["SCANNER", "OTHER"])));
    assert!(!source.answers_for(&set(&[])));
}

#[test]
fn tables_of_peers_are_held_against_the_rules() {
    for (from, to, key) in [
        (
            "server_name = \"archive.example\"",
            "server_name = \"no name\"",
            "destination[0].tls.server_name",
        ),
        (", key = \"node.key\" }", " }", "destination[0].tls.key"),
        (
            "certificate = \"node.crt\", key",
            "key",
            "destination[0].tls.certificate",
        ),
        ("port = 104", "port = 0", "source[0].port"),
        ("[\"SCANNER\"]", "[\"\"]", "source[0].callers[0]"),
        (
            "# host_names = []",
            "host_names = [\"\"]",
            "http.host_names",
        ),
        (
            "# connections_per_address = 10",
            "connections_per_address = 0",
            "limits.connections_per_address",
        ),
    ] {
        let text = everything().replace(from, to);
        assert_ne!(text, everything(), "{from}");
        match parse(&text).unwrap_err() {
            NodeConfigError::Value { key: found, .. } => assert_eq!(found, key),
            error => panic!("{error}"),
        }
    }
    let text = everything().replace("\"bcp-195-rfc-8996-9325\"\n", "\"ssl3\"\n");
    let error = parse(&text).unwrap_err().to_string();
    assert!(error.contains("modified-bcp-195-rfc-8996-9325"), "{error}");
}

#[test]
fn addresses_are_known_where_every_caller_has_one() {
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    let caller = |address| Caller {
        ae_title: "A".to_owned(),
        address,
    };
    let listed = |callers| Callers::Listed(callers).addresses();
    assert_eq!(
        listed(vec![caller(Some(address))]),
        Some([address].into_iter().collect())
    );
    assert_eq!(listed(vec![caller(Some(address)), caller(None)]), None);
    assert_eq!(listed(Vec::new()), None);
    assert_eq!(Callers::Any.addresses(), None);
}

#[test]
fn the_manual_has_every_key() {
    let manual = include_str!("../../../../../docs/node.md");
    let table = manual.split("## Settings").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let (mut keys, mut tables) = (0, 0);
    for line in everything().lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with('[') {
            tables += 1;
            assert!(table.contains(&format!("**`{line}`**")), "{line}");
        }
        let Some((key, value)) = line.split_once(" = ") else {
            continue;
        };
        if key.contains(' ') {
            continue;
        }
        keys += 1;
        let name = format!("`{key}`");
        let rows = || table.lines().filter(|row| row.contains(&name));
        assert!(rows().count() > 0, "{key}");
        // Text after `# ` is the default.
        if EXAMPLE.contains(&format!("\n# {line}\n")) && !WITHOUT_DEFAULT.contains(&key) {
            let defaults = |row: &str| row.split(" | ").nth(1).unwrap_or_default().replace('`', "");
            let value = value.trim_matches('"');
            let is_told = rows().any(|row| {
                let defaults = defaults(row);
                let mut defaults = defaults.split(", ");
                defaults.any(|told| told.trim_matches('"') == value)
            });
            assert!(is_told, "{key} = {value}");
        }
    }
    assert!(keys > 60 && tables == 12, "{keys} keys, {tables} tables");
}

/// Keys of the example with an example value, or without a default.
const WITHOUT_DEFAULT: [&str; 8] = [
    "storage_mib",
    "run_ram_mib",
    "address",
    "bundle_sha256",
    "bundle_key",
    "dicom_rules",
    "series",
    "options",
];

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
fn what_is_no_toml_is_told_with_its_place_in_one_line() {
    let error = parse("workers = 1\naé = = 2\n").unwrap_err();
    assert!(
        matches!(
            error,
            NodeConfigError::Syntax {
                line: 2,
                column: 2..=6,
                ..
            }
        ),
        "{error:?}"
    );
    let message = error.to_string();
    assert!(
        message.starts_with("the settings `/etc/vesal/node.toml` are wrong at line 2, column "),
        "{message}"
    );
    assert!(!message.contains('\n'), "{message}");
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
            NodeConfigError::Value { key: found, .. } => assert_eq!(found, key),
            error => panic!("{error}"),
        }
    }
    for (option, instead) in [
        ("\"--input\", \"/elsewhere\"", "which the node sets itself"),
        ("\"--uid-key=/elsewhere\"", "which the node sets itself"),
        (
            "\"--max-ram\", \"1\"",
            "which `run_ram_mib` in `[limits]` sets",
        ),
    ] {
        let options = format!("options = [{option}]");
        let text = EXAMPLE.replace("# options = [\"--device\", \"cpu\"]", &options);
        let message = parse(&text).unwrap_err().to_string();
        assert!(
            message.contains("`service[0].options` has `--"),
            "{message}"
        );
        assert!(message.contains(instead), "{message}");
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
