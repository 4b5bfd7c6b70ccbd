//! Counters, and their text for Prometheus. Label values are services, destinations and words of fixed lists, never
//! UIDs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// By outcome.
    Associations,
    /// Accepted instances, by service.
    Received,
    /// Bytes of accepted instances, by service.
    ReceivedBytes,
    /// Refused instances, by service and reason.
    Refused,
    /// Finished predictions, by service and outcome.
    Runs,
    /// Time of predictions, by service.
    RunSeconds,
    /// Results that a destination accepted.
    Sent,
    /// Failed attempts to send to a destination.
    SendFailures,
    /// Queries to a source, by outcome.
    Questions,
}

const COUNTERS: [(Counter, &str, &[&str], &str); 9] = [
    (
        Counter::Associations,
        "vesal_associations_total",
        &["outcome"],
        "Requested associations by outcome.",
    ),
    (
        Counter::Received,
        "vesal_instances_received_total",
        &["service"],
        "Accepted DICOM instances.",
    ),
    (
        Counter::ReceivedBytes,
        "vesal_received_bytes_total",
        &["service"],
        "Bytes of accepted instances.",
    ),
    (
        Counter::Refused,
        "vesal_instances_refused_total",
        &["service", "reason"],
        "Refused DICOM instances.",
    ),
    (
        Counter::Runs,
        "vesal_runs_total",
        &["service", "outcome"],
        "Predictions that ended.",
    ),
    (
        Counter::RunSeconds,
        "vesal_run_seconds_total",
        &["service"],
        "Time that predictions took.",
    ),
    (
        Counter::Sent,
        "vesal_results_sent_total",
        &["destination"],
        "Results that a destination has accepted.",
    ),
    (
        Counter::SendFailures,
        "vesal_send_failures_total",
        &["destination"],
        "Tries to send to a destination that failed.",
    ),
    (
        Counter::Questions,
        "vesal_source_questions_total",
        &["source", "outcome"],
        "Questions to a source how many instances there are.",
    ),
];

/// The counters of a node.
#[derive(Debug, Default)]
pub struct NodeMetrics(Mutex<BTreeMap<(Counter, Vec<String>), f64>>);

impl NodeMetrics {
    pub fn count(&self, counter: Counter, labels: &[&str]) {
        self.add(counter, labels, 1.0);
    }

    pub fn add(&self, counter: Counter, labels: &[&str], amount: f64) {
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((counter, labels)).or_default() += amount;
    }

    pub fn time(&self, counter: Counter, labels: &[&str], time: Duration) {
        self.add(counter, labels, time.as_secs_f64());
    }

    pub fn text(&self, text: &mut MetricsText) {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (counter, name, labels, help) in COUNTERS {
            text.family(name, "counter", help);
            for ((_, values), amount) in counts.iter().filter(|((of, _), _)| *of == counter) {
                let pairs: Vec<_> = labels
                    .iter()
                    .copied()
                    .zip(values.iter().map(String::as_str))
                    .collect();
                text.sample(name, &pairs, *amount);
            }
        }
    }
}

/// Text in Prometheus' exposition format, version 0.0.4.
#[derive(Debug, Default)]
pub struct MetricsText(String);

impl MetricsText {
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Adds a sample of the metric.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let begin = if index == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(self.0, "{begin}{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// A metric of one sample.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_follow_their_help_and_type() {
        let metrics = NodeMetrics::default();
        metrics.count(Counter::Refused, &["A\"B", "disk"]);
        metrics.count(Counter::Refused, &["A\"B", "disk"]);
        let mut text = MetricsText::default();
        metrics.text(&mut text);
        let text = text.into_string();
        let expected = "# HELP vesal_instances_refused_total Refused DICOM instances.\n\
             # TYPE vesal_instances_refused_total counter\n\
             vesal_instances_refused_total{service=\"A\\\"B\",reason=\"disk\"} 2\n";
        assert!(text.contains(expected), "{text}");
        assert_eq!(text.matches("# TYPE").count(), COUNTERS.len());
    }
}
