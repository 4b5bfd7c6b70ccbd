//! Health and metrics of a node.

use serde::Serialize;

use crate::failures::STORAGE;
use crate::metrics::MetricsText;
use crate::node_state::NodeState;
use crate::queue::JobState;

/// Consecutive failures from which a destination or a source counts as failing.
const FAILURES: u32 = 3;

/// Health of a node.
#[derive(Debug, Serialize)]
pub struct Health {
    /// `ok` or `degraded`.
    pub status: &'static str,
    /// Why it is not `ok`.
    pub problems: Vec<HealthProblem>,
}

/// A problem that needs attention.
#[derive(Debug, Serialize)]
pub struct HealthProblem {
    /// One of `space`, `storage`, `destination`, `source`, `failed`, `service`, `undelivered`, `stuck`, `damaged`,
    /// `bundle`, `stopping`.
    pub kind: &'static str,
    pub message: String,
}

impl Health {
    pub fn of(shared: &NodeState) -> Self {
        let mut problems = Vec::new();
        let mut problem = |kind, message| problems.push(HealthProblem { kind, message });
        if let Err(full) = shared.space.check(shared.queue.storage()) {
            problem("space", format!("instances are refused: {full}"));
        }
        for failing in shared.receiving.failing().into_values() {
            let since = failing.since.text();
            let message = format!("instances are refused since {since}: {}", failing.reason);
            problem(STORAGE, message);
        }
        for (service, reason) in shared.queue.failing() {
            let message = format!("the last jobs of {service} failed, the last one: {reason}");
            problem("failed", message);
        }
        match shared.queue.orphans() {
            0 => {}
            count => problem(
                "service",
                format!("{count} jobs wait for services that the settings do not have"),
            ),
        }
        match shared.queue.damaged() {
            0 => {}
            count => problem(
                "damaged",
                format!("{count} jobs could not be read and are in `damaged`"),
            ),
        }
        for service in shared.queue.changed_bundles() {
            let message = format!(
                "the bundle of {service} has changed since the node started: start it again"
            );
            problem("bundle", message);
        }
        let destinations = shared.destinations.failing();
        for (kind, fails, peers) in [
            ("destination", "fails", destinations),
            ("source", "does not answer", shared.sources.failing()),
        ] {
            for (name, failing) in peers {
                if failing.failures >= FAILURES {
                    let (since, reason) = (failing.since.text(), failing.reason);
                    let message = format!("{kind} `{name}` {fails} since {since}: {reason}");
                    problem(kind, message);
                }
            }
        }
        match shared.queue.undelivered() {
            0 => {}
            count => problem(
                "undelivered",
                format!("results of {count} jobs are not delivered"),
            ),
        }
        let wait = shared.queue.longest_wait();
        if wait >= shared.config.limits.stuck {
            let minutes = wait.as_secs() / 60;
            problem("stuck", format!("a job waits for {minutes} minutes"));
        }
        if shared.stop.is_requested() {
            problem("stopping", "the node stops".to_owned());
        }
        Self {
            status: if problems.is_empty() {
                "ok"
            } else {
                "degraded"
            },
            problems,
        }
    }
}

/// The metrics of a node, as text.
pub fn metrics(shared: &NodeState) -> String {
    let mut text = MetricsText::default();
    text.family("vesal_info", "gauge", "Version of the program.");
    text.sample("vesal_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let healthy = Health::of(shared).problems.is_empty();
    text.gauge(
        "vesal_healthy",
        "Whether /health answers 200.",
        f64::from(u8::from(healthy)),
    );
    text.gauge(
        "vesal_connections",
        "Open DICOM connections.",
        shared.slots.connections() as f64,
    );
    text.family("vesal_jobs", "gauge", "Jobs, by where they are.");
    for (service, counts) in shared.queue.counts() {
        for (state, count) in JobState::ALL.iter().zip(counts) {
            let labels = [("service", service.as_str()), ("state", state.word())];
            text.sample("vesal_jobs", &labels, count as f64);
        }
    }
    text.gauge(
        "vesal_doubtful_jobs",
        "Jobs of which instances may be missing.",
        shared.queue.doubtful() as f64,
    );
    text.gauge(
        "vesal_longest_wait_seconds",
        "Time that the job waits which waits longest for its prediction or to be sent.",
        shared.queue.longest_wait().as_secs_f64(),
    );
    let (storage, disk) = shared.space.figures(shared.queue.storage());
    text.gauge(
        "vesal_storage_bytes",
        "Bytes of the storage folder.",
        storage as f64,
    );
    if let Some(disk) = disk {
        text.gauge(
            "vesal_disk_free_bytes",
            "Free bytes of the file system of the storage folder.",
            disk.free as f64,
        );
        text.gauge(
            "vesal_disk_used_ratio",
            "Share of the file system of the storage folder that is used.",
            disk.share(),
        );
    }
    shared.metrics.text(&mut text);
    text.into_string()
}
