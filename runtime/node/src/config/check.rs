//! Checks the tables of a settings file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::config::peers;
use crate::config::tables::{
    CallerTable, CallersTable, ConfigTables, HttpTable, LimitsTable, RetentionTable, RetryTable,
    ServiceTable,
};
use crate::config::value::{
    SettingResult, ae_title, count, count_up_to, duration, mebibytes, pause, seconds, time,
};
use crate::config::{
    Caller, Callers, Config, Http, Keep, NodeLimits, Peer, Retention, Retry, Service, ValueFault,
};
use crate::queue::is_digest;

impl ConfigTables {
    pub fn check(self, folder: &Path) -> SettingResult<Config> {
        let destinations = peers::destinations(self.destination, folder)?;
        let keep = self.retention.keep;
        let services = services(self.service, folder, &destinations, keep)?;
        Ok(Config {
            storage: folder.join(self.node.storage),
            bind: self.node.bind,
            port: self.node.port,
            workers: count("node.workers", self.node.workers)?,
            log: self.log,
            tls: self.tls.map(|tls| tls.check(folder)),
            http: self.http.check()?,
            limits: self.limits.check()?,
            retry: self.retry.check()?,
            retention: self.retention.check()?,
            callers: callers(self.callers, self.caller)?,
            destinations,
            sources: peers::sources(self.source, folder)?,
            services,
        })
    }
}

impl HttpTable {
    fn check(self) -> SettingResult<Option<Http>> {
        if self.host_names.iter().any(|name| name.trim().is_empty()) {
            let expected = "host names";
            return Err(("http.host_names".to_owned(), ValueFault::Empty { expected }));
        }
        Ok(self.enabled.then_some(Http {
            bind: self.bind,
            port: self.port,
            host_names: self.host_names,
        }))
    }
}

impl LimitsTable {
    fn check(self) -> SettingResult<NodeLimits> {
        if !(self.disk_share > 0.0 && self.disk_share <= 1.0) {
            let fault = ValueFault::Number {
                found: self.disk_share,
                expected: "more than 0 and at most 1",
            };
            return Err(("limits.disk_share".to_owned(), fault));
        }
        Ok(NodeLimits {
            associations: count("limits.associations", self.associations)?,
            associations_per_caller: count(
                "limits.associations_per_caller",
                self.associations_per_caller,
            )?,
            connections_per_address: count(
                "limits.connections_per_address",
                self.connections_per_address,
            )?,
            first_byte: seconds("limits.first_byte_seconds", self.first_byte_seconds)?,
            negotiation: seconds("limits.negotiation_seconds", self.negotiation_seconds)?,
            idle: seconds("limits.idle_seconds", self.idle_seconds)?,
            association: seconds("limits.association_seconds", self.association_seconds)?,
            instance_bytes: mebibytes("limits.instance_mib", self.instance_mib)?,
            disk_share: self.disk_share,
            storage_bytes: self
                .storage_mib
                .map(|mib| mebibytes("limits.storage_mib", mib))
                .transpose()?,
            jobs: count_up_to("limits.jobs", self.jobs, 1_000_000, "1 to 1000000")?,
            shutdown: pause("limits.shutdown_seconds", self.shutdown_seconds)?,
            run: time("limits.run_minutes", self.run_minutes, 60.0, "minutes")?,
            run_ram: self
                .run_ram_mib
                .map(|mib| mebibytes("limits.run_ram_mib", mib))
                .transpose()?,
            stuck: time("limits.stuck_minutes", self.stuck_minutes, 60.0, "minutes")?,
        })
    }
}

impl RetryTable {
    fn check(self) -> SettingResult<Retry> {
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
    fn check(self) -> SettingResult<Retention> {
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

fn callers(table: CallersTable, callers: Vec<CallerTable>) -> SettingResult<Callers> {
    let listed = callers
        .into_iter()
        .enumerate()
        .map(|(index, caller)| {
            Ok(Caller {
                ae_title: ae_title(&format!("caller[{index}].ae_title"), &caller.ae_title)?,
                address: caller.address.map(|address| address.to_canonical()),
            })
        })
        .collect::<SettingResult<_>>()?;
    Ok(if table.any {
        Callers::Any
    } else {
        Callers::Listed(listed)
    })
}

const FORMATS: [&str; 5] = ["nifti", "seg", "labelmap", "rtstruct", "report"];

fn services(
    tables: Vec<ServiceTable>,
    folder: &Path,
    known: &BTreeMap<String, Peer>,
    keep: Keep,
) -> SettingResult<Vec<Service>> {
    if tables.is_empty() {
        let expected = "at least one `[[service]]`";
        return Err(("service".to_owned(), ValueFault::Empty { expected }));
    }
    let mut titles = BTreeSet::new();
    let mut services = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let key = |name: &str| format!("service[{index}].{name}");
        let title = ae_title(&key("ae_title"), &table.ae_title)?;
        if !titles.insert(title.clone()) {
            return Err((key("ae_title"), ValueFault::Twice { found: title }));
        }
        if let Some(found) = table.destinations.iter().find(|n| !known.contains_key(*n)) {
            let found = found.clone();
            return Err((key("destinations"), ValueFault::NoDestination { found }));
        }
        if table.destinations.is_empty() && keep == Keep::None {
            return Err((key("destinations"), ValueFault::Nowhere));
        }
        if let Some(found) = table
            .formats
            .iter()
            .find(|f| !FORMATS.contains(&f.as_str()))
        {
            let fault = ValueFault::Word {
                found: found.clone(),
                expected: "nifti, seg, labelmap, rtstruct, report",
            };
            return Err((key("formats"), fault));
        }
        if table.formats.is_empty() {
            let expected = "at least one format";
            return Err((key("formats"), ValueFault::Empty { expected }));
        }
        let has = |format: &str| table.formats.iter().any(|known| known == format);
        if has("report") && !has("seg") && !has("labelmap") {
            return Err((key("formats"), ValueFault::LoneReport));
        }
        if !table.destinations.is_empty() && table.formats.iter().all(|format| format == "nifti") {
            return Err((key("formats"), ValueFault::NothingToSend));
        }
        if !["strict", "resample"].contains(&table.geometry.as_str()) {
            let fault = ValueFault::Word {
                found: table.geometry,
                expected: "strict, resample",
            };
            return Err((key("geometry"), fault));
        }
        let is_sha256 = |text: &String| is_digest(text, 64);
        if let Some(found) = table.bundle_sha256.clone().filter(|text| !is_sha256(text)) {
            let expected = "SHA-256 in 64 hexadecimal digits";
            return Err((key("bundle_sha256"), ValueFault::Word { found, expected }));
        }
        if table.require_signature && table.bundle_key.is_none() {
            return Err((key("require_signature"), ValueFault::NoKey));
        }
        options(&table.options).map_err(|fault| (key("options"), fault))?;
        services.push(Service {
            ae_title: title,
            bundle: folder.join(table.bundle),
            bundle_sha256: table.bundle_sha256.map(|text| text.to_ascii_lowercase()),
            bundle_key: table.bundle_key.map(|key| folder.join(key)),
            require_signature: table.require_signature,
            unit: table.unit,
            quiet: pause(&key("quiet_seconds"), table.quiet_seconds)?,
            cut_quiet: pause(&key("cut_quiet_seconds"), table.cut_quiet_seconds)?,
            hold: pause(&key("hold_seconds"), table.hold_seconds)?,
            doubtful: table.doubtful,
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

/// Options of `vesal predict` that the node sets itself, with the settings that determine them, if any.
const OWN_OPTIONS: [(&str, Option<&str>); 19] = [
    ("--bundle", Some("bundle")),
    ("--bundle-sha256", Some("bundle_sha256")),
    ("--bundle-key", Some("bundle_key")),
    ("--require-signature", Some("require_signature")),
    ("--format", Some("formats")),
    ("--geometry", Some("geometry")),
    ("--dicom-rules", Some("dicom_rules")),
    ("--series", Some("series")),
    ("--mark-incomplete", Some("doubtful")),
    ("--max-ram", Some("run_ram_mib` in `[limits]")),
    ("--input", None),
    ("--list", None),
    ("--dataroot", None),
    ("--output", None),
    ("--overwrite", None),
    ("--report", None),
    ("--failure", None),
    ("--uid-key", None),
    ("--json", None),
];

/// Checks further options of `vesal predict`: none may be one that the node sets itself.
fn options(options: &[String]) -> Result<(), ValueFault> {
    for option in options {
        let name = option.split('=').next().unwrap_or_default();
        let own = OWN_OPTIONS.iter().find(|(own, _)| *own == name);
        if let Some((_, setting)) = own {
            let instead = match setting {
                Some(setting) => format!("which `{setting}` sets"),
                None => "which the node sets itself: leave it out".to_owned(),
            };
            let found = name.to_owned();
            return Err(ValueFault::Option { found, instead });
        }
    }
    Ok(())
}
