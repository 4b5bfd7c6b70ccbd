//! Reads and checks a file of settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::*;

/// Every setting with its meaning and default.
pub const EXAMPLE: &str = include_str!("example.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    node: NodeTable,
    #[serde(default)]
    http: HttpTable,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    retry: RetryTable,
    #[serde(default)]
    retention: RetentionTable,
    #[serde(default)]
    callers: CallersTable,
    #[serde(default)]
    caller: Vec<CallerTable>,
    #[serde(default)]
    destination: Vec<DestinationTable>,
    #[serde(default)]
    service: Vec<ServiceTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeTable {
    storage: PathBuf,
    #[serde(default = "loopback")]
    bind: IpAddr,
    #[serde(default = "dicom_port")]
    port: u16,
    #[serde(default = "one")]
    workers: usize,
}

fn loopback() -> IpAddr {
    Ipv4Addr::LOCALHOST.into()
}

fn dicom_port() -> u16 {
    11112
}

fn one() -> usize {
    1
}

/// A table all of whose keys have defaults.
macro_rules! table {
    ($name:ident { $($key:ident: $type:ty = $default:expr),* $(,)? }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct $name { $($key: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }
    };
}

table!(HttpTable {
    enabled: bool = true,
    bind: IpAddr = loopback(),
    port: u16 = 11180,
});

table!(LimitsTable {
    associations: usize = 20,
    associations_per_caller: usize = 8,
    negotiation_seconds: f64 = 10.0,
    idle_seconds: f64 = 60.0,
    association_seconds: f64 = 3600.0,
    instance_mib: u64 = 2048,
    disk_share: f64 = 0.9,
    storage_mib: Option<u64> = None,
    shutdown_seconds: f64 = 10.0,
    run_minutes: f64 = 60.0,
    stuck_minutes: f64 = 120.0,
});

table!(RetryTable {
    run_attempts: u32 = 3,
    run_pause_seconds: f64 = 60.0,
    send_attempts: u32 = 10,
    send_pause_seconds: f64 = 10.0,
    send_pause_max_seconds: f64 = 1800.0,
    undelivered_pause_hours: f64 = 6.0,
});

table!(RetentionTable {
    keep: Keep = Keep::None,
    keep_hours: f64 = 24.0,
    failed_hours: f64 = 72.0,
    undelivered_days: f64 = 30.0,
    ledger_days: f64 = 90.0,
});

table!(CallersTable { any: bool = false });

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallerTable {
    ae_title: String,
    address: Option<IpAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DestinationTable {
    name: String,
    ae_title: String,
    host: String,
    port: u16,
    #[serde(default = "own_title")]
    calling_ae_title: String,
}

fn own_title() -> String {
    "VESAL".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceTable {
    ae_title: String,
    bundle: PathBuf,
    #[serde(default = "series")]
    unit: Grouping,
    #[serde(default = "quiet")]
    quiet_seconds: f64,
    #[serde(default = "long")]
    cut_quiet_seconds: f64,
    #[serde(default = "long")]
    hold_seconds: f64,
    #[serde(default = "formats")]
    formats: Vec<String>,
    #[serde(default)]
    destinations: Vec<String>,
    #[serde(default = "strict")]
    geometry: String,
    dicom_rules: Option<PathBuf>,
    #[serde(default)]
    series: Vec<String>,
    #[serde(default)]
    options: Vec<String>,
}

fn series() -> Grouping {
    Grouping::Series
}

fn quiet() -> f64 {
    30.0
}

fn long() -> f64 {
    300.0
}

fn formats() -> Vec<String> {
    vec!["seg".to_owned()]
}

fn strict() -> String {
    "strict".to_owned()
}

impl Config {
    /// Reads a file.
    ///
    /// **Errors**: it cannot be read, has a key that no setting has, or a value that breaks a rule.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|reason| ConfigError::Io {
            path: path.to_owned(),
            reason,
        })?;
        Self::parse(&text, path)
    }

    /// Takes the text of a file; `path` is where its own paths start from, and what errors name.
    ///
    /// **Errors**: as [`Config::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let document: Document = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            message: error.to_string().trim().to_owned(),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        document
            .check(folder)
            .map_err(|(key, fault)| ConfigError::Value {
                path: path.to_owned(),
                key,
                fault,
            })
    }
}

type Checked<T> = Result<T, (String, Fault)>;

impl Document {
    fn check(self, folder: &Path) -> Checked<Config> {
        let destinations = destinations(self.destination)?;
        let keep = self.retention.keep;
        let services = services(self.service, folder, &destinations, keep)?;
        Ok(Config {
            storage: folder.join(self.node.storage),
            bind: self.node.bind,
            port: self.node.port,
            workers: count("node.workers", self.node.workers)?,
            http: self
                .http
                .enabled
                .then_some((self.http.bind, self.http.port)),
            limits: self.limits.check()?,
            retry: self.retry.check()?,
            retention: self.retention.check()?,
            callers: callers(self.callers, self.caller)?,
            destinations,
            services,
        })
    }
}

impl LimitsTable {
    fn check(self) -> Checked<Limits> {
        if !(self.disk_share > 0.0 && self.disk_share <= 1.0) {
            let fault = Fault::Number {
                found: self.disk_share,
                expected: "more than 0 and at most 1",
            };
            return Err(("limits.disk_share".to_owned(), fault));
        }
        Ok(Limits {
            associations: count("limits.associations", self.associations)?,
            associations_per_caller: count(
                "limits.associations_per_caller",
                self.associations_per_caller,
            )?,
            negotiation: seconds("limits.negotiation_seconds", self.negotiation_seconds)?,
            idle: seconds("limits.idle_seconds", self.idle_seconds)?,
            association: seconds("limits.association_seconds", self.association_seconds)?,
            instance_bytes: mebibytes("limits.instance_mib", self.instance_mib)?,
            disk_share: self.disk_share,
            storage_bytes: self
                .storage_mib
                .map(|mib| mebibytes("limits.storage_mib", mib))
                .transpose()?,
            shutdown: pause("limits.shutdown_seconds", self.shutdown_seconds)?,
            run: time("limits.run_minutes", self.run_minutes, 60.0, "minutes")?,
            stuck: time("limits.stuck_minutes", self.stuck_minutes, 60.0, "minutes")?,
        })
    }
}

impl RetryTable {
    fn check(self) -> Checked<Retry> {
        Ok(Retry {
            run_attempts: count("retry.run_attempts", self.run_attempts as usize)? as u32,
            run_pause: pause("retry.run_pause_seconds", self.run_pause_seconds)?,
            send_attempts: count("retry.send_attempts", self.send_attempts as usize)? as u32,
            send_pause: seconds("retry.send_pause_seconds", self.send_pause_seconds)?,
            send_pause_max: seconds("retry.send_pause_max_seconds", self.send_pause_max_seconds)?,
            undelivered_pause: time(
                "retry.undelivered_pause_hours",
                self.undelivered_pause_hours,
                3600.0,
                "hours",
            )?,
        })
    }
}

impl RetentionTable {
    fn check(self) -> Checked<Retention> {
        let (hours, days) = (3600.0, 86_400.0);
        Ok(Retention {
            keep: self.keep,
            kept: duration("retention.keep_hours", self.keep_hours, hours, "hours", 0.0)?,
            failed: duration(
                "retention.failed_hours",
                self.failed_hours,
                hours,
                "hours",
                0.0,
            )?,
            undelivered: time(
                "retention.undelivered_days",
                self.undelivered_days,
                days,
                "days",
            )?,
            ledger: time("retention.ledger_days", self.ledger_days, days, "days")?,
        })
    }
}

fn callers(table: CallersTable, callers: Vec<CallerTable>) -> Checked<Callers> {
    let listed = callers
        .into_iter()
        .enumerate()
        .map(|(index, caller)| {
            Ok(Caller {
                ae_title: ae_title(&format!("caller[{index}].ae_title"), &caller.ae_title)?,
                address: caller.address.map(|address| address.to_canonical()),
            })
        })
        .collect::<Checked<_>>()?;
    Ok(if table.any {
        Callers::Any
    } else {
        Callers::Listed(listed)
    })
}

fn destinations(tables: Vec<DestinationTable>) -> Checked<BTreeMap<String, Destination>> {
    let mut destinations = BTreeMap::new();
    for (index, table) in tables.into_iter().enumerate() {
        let key = |name: &str| format!("destination[{index}].{name}");
        let is_name = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        if !is_name(&table.name) {
            return Err((
                key("name"),
                Fault::Word {
                    found: table.name,
                    expected: "names of up to 64 letters, digits, `-`, `_` and `.`",
                },
            ));
        }
        if table.host.trim().is_empty() {
            let expected = "a host name or an address";
            return Err((key("host"), Fault::Empty { expected }));
        }
        if table.port == 0 {
            let (found, expected) = (0.0, "a port of 1 to 65535");
            return Err((key("port"), Fault::Number { found, expected }));
        }
        let destination = Destination {
            ae_title: ae_title(&key("ae_title"), &table.ae_title)?,
            host: table.host.trim().to_owned(),
            port: table.port,
            calling_ae_title: ae_title(&key("calling_ae_title"), &table.calling_ae_title)?,
        };
        let name = table.name.clone();
        if destinations.insert(name, destination).is_some() {
            return Err((key("name"), Fault::Twice { found: table.name }));
        }
    }
    Ok(destinations)
}

const FORMATS: [&str; 5] = ["nifti", "seg", "labelmap", "rtstruct", "report"];

fn services(
    tables: Vec<ServiceTable>,
    folder: &Path,
    known: &BTreeMap<String, Destination>,
    keep: Keep,
) -> Checked<Vec<Service>> {
    if tables.is_empty() {
        let expected = "at least one `[[service]]`";
        return Err(("service".to_owned(), Fault::Empty { expected }));
    }
    let mut titles = BTreeSet::new();
    let mut services = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let key = |name: &str| format!("service[{index}].{name}");
        let title = ae_title(&key("ae_title"), &table.ae_title)?;
        if !titles.insert(title.clone()) {
            return Err((key("ae_title"), Fault::Twice { found: title }));
        }
        if let Some(found) = table.destinations.iter().find(|n| !known.contains_key(*n)) {
            let found = found.clone();
            return Err((key("destinations"), Fault::NoDestination { found }));
        }
        if table.destinations.is_empty() && keep == Keep::None {
            return Err((key("destinations"), Fault::Nowhere));
        }
        if let Some(found) = table
            .formats
            .iter()
            .find(|f| !FORMATS.contains(&f.as_str()))
        {
            let fault = Fault::Word {
                found: found.clone(),
                expected: "nifti, seg, labelmap, rtstruct, report",
            };
            return Err((key("formats"), fault));
        }
        if table.formats.is_empty() {
            let expected = "at least one format";
            return Err((key("formats"), Fault::Empty { expected }));
        }
        let has = |format: &str| table.formats.iter().any(|known| known == format);
        if has("report") && !has("seg") && !has("labelmap") {
            return Err((key("formats"), Fault::LoneReport));
        }
        if !table.destinations.is_empty() && table.formats.iter().all(|format| format == "nifti") {
            return Err((key("formats"), Fault::NothingToSend));
        }
        if !["strict", "resample"].contains(&table.geometry.as_str()) {
            let fault = Fault::Word {
                found: table.geometry,
                expected: "strict, resample",
            };
            return Err((key("geometry"), fault));
        }
        services.push(Service {
            ae_title: title,
            bundle: folder.join(table.bundle),
            unit: table.unit,
            quiet: pause(&key("quiet_seconds"), table.quiet_seconds)?,
            cut_quiet: pause(&key("cut_quiet_seconds"), table.cut_quiet_seconds)?,
            hold: pause(&key("hold_seconds"), table.hold_seconds)?,
            formats: table.formats,
            destinations: table.destinations,
            geometry: table.geometry,
            dicom_rules: table.dicom_rules.map(|rules| folder.join(rules)),
            series: table.series,
            options: table.options,
        });
    }
    Ok(services)
}

fn ae_title(key: &str, text: &str) -> Checked<String> {
    let trimmed = text.trim_matches(' ');
    let fits = (1..=16).contains(&trimmed.len())
        && trimmed
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\');
    if fits {
        Ok(trimmed.to_owned())
    } else {
        let found = text.to_owned();
        Err((key.to_owned(), Fault::AeTitle { found }))
    }
}

fn count(key: &str, number: usize) -> Checked<usize> {
    if (1..=1000).contains(&number) {
        Ok(number)
    } else {
        let fault = Fault::Number {
            found: number as f64,
            expected: "1 to 1000",
        };
        Err((key.to_owned(), fault))
    }
}

fn mebibytes(key: &str, mib: u64) -> Checked<u64> {
    match mib.checked_mul(1 << 20) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => {
            let fault = Fault::Number {
                found: mib as f64,
                expected: "1 or more",
            };
            Err((key.to_owned(), fault))
        }
    }
}

/// The longest time that a setting can hold, in seconds: ten years.
const LONGEST: f64 = 3650.0 * 86_400.0;

/// A time that may be zero.
fn pause(key: &str, number: f64) -> Checked<Duration> {
    duration(key, number, 1.0, "seconds", 0.0)
}

fn seconds(key: &str, number: f64) -> Checked<Duration> {
    time(key, number, 1.0, "seconds")
}

/// A time of at least a tenth of a second.
fn time(key: &str, number: f64, seconds: f64, unit: &'static str) -> Checked<Duration> {
    duration(key, number, seconds, unit, 0.1)
}

/// A time in units of so many seconds, at least so many seconds long.
fn duration(
    key: &str,
    number: f64,
    seconds: f64,
    unit: &'static str,
    least: f64,
) -> Checked<Duration> {
    if (least..=LONGEST).contains(&(number * seconds)) {
        Ok(Duration::from_secs_f64(number * seconds))
    } else {
        let fault = Fault::Time {
            found: number,
            least: least / seconds,
            most: LONGEST / seconds,
            unit,
        };
        Err((key.to_owned(), fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let Callers::Listed(callers) = &mut told.callers else {
            panic!("callers are listed");
        };
        assert!(callers[0].address.take().is_some());
        assert_eq!(told, config);
    }

    #[test]
    fn the_manual_has_every_key() {
        let manual = include_str!("../../../../docs/node.md");
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
}
