//! Results of `vesal bench`, as JSON and as text.

use std::collections::BTreeMap;

use serde::Serialize;
use vesal_cli::Text;
use vesal_files::VersionedDocument;

use super::figures::Stages;
use crate::machine::Machine;
use crate::record::{BundleRecord, DeviceRecord};

/// Times of predictions on this machine.
#[derive(Debug, Serialize)]
pub struct Benchmark {
    pub versions: BTreeMap<&'static str, String>,
    pub machine: Machine,
    pub bundle: BundleRecord,
    pub device: DeviceRecord,
    /// Number of warm rounds per case.
    pub rounds: usize,
    pub cold: ColdStart,
    /// All rounds of all cases.
    pub warm: Stages,
    pub batch: BatchTimes,
    pub memory: Memory,
    pub cases: Vec<CaseTimes>,
}

/// From the start of the process.
#[derive(Debug, Serialize)]
pub struct ColdStart {
    /// The case that came first.
    pub case: String,
    /// Until the networks can be run.
    pub ready_seconds: f64,
    /// Until the first label map is written.
    pub first_label_map_seconds: f64,
}

/// All cases and rounds through the overlapped pipeline.
#[derive(Debug, Serialize)]
pub struct BatchTimes {
    pub cases: usize,
    pub seconds: f64,
    pub seconds_per_case: f64,
}

/// Peak memory; null where the system does not state it.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Of the process up to the end of the warm rounds.
    pub one_by_one_bytes: Option<u64>,
    /// Of the process in total.
    pub batch_bytes: Option<u64>,
    /// Increase of the memory in use on the GPU; null on a processor.
    pub device_bytes: Option<u64>,
}

/// The warm rounds of a case.
#[derive(Debug, Serialize)]
pub struct CaseTimes {
    pub case: String,
    pub input: Vec<InputFile>,
    /// Windows that each member predicts.
    pub windows: usize,
    pub label_map_sha256: String,
    pub stages: Stages,
}

/// An input file, named without its folder.
#[derive(Debug, Serialize)]
pub struct InputFile {
    pub file: String,
    pub bytes: u64,
    pub sha256: String,
}

impl VersionedDocument for Benchmark {
    const FORMAT: &str = "vesal-bench";
    const VERSION: u32 = 1;
}

impl Benchmark {
    /// The results as lines of text.
    pub fn text(&self) -> Text {
        let device = &self.device;
        let or_unknown = |text: Option<&str>| text.unwrap_or("unknown").to_owned();
        let line = |name: &str, value: String| vec![name.to_owned(), value];
        let mut facts = vec![
            line("bundle", self.bundle.name.clone()),
            line(
                "device",
                format!(
                    "{} ({}), {} threads",
                    or_unknown(device.used.as_deref()),
                    or_unknown(device.execution.as_deref()),
                    device.threads
                ),
            ),
            line("machine", self.machine_text()),
        ];
        if let Some(profile) = &device.profile {
            facts.push(line("profile", profile.clone()));
        }
        facts.push(line(
            "measured",
            format!("{} cases, {} rounds", self.cases.len(), self.rounds),
        ));
        let mut rows = vec![["", "p50", "p95", "p99"].map(str::to_owned).to_vec()];
        for (stage, times) in self.warm.rows() {
            let times = [times.p50, times.p95, times.p99].map(|time| format!("{time:.3} s"));
            rows.push(std::iter::once(stage.to_owned()).chain(times).collect());
        }
        let gigabytes = |bytes: Option<u64>| {
            bytes.map_or("unknown".into(), |bytes| {
                format!("{:.2} GB", bytes as f64 / 1e9)
            })
        };
        let (cold, warm, memory) = (&self.cold, &self.warm, &self.memory);
        let mut figures = vec![
            line(
                "cold start",
                format!("{:.3} s until the networks are ready", cold.ready_seconds),
            ),
            line(
                "",
                format!(
                    "{:.3} s until the first label map",
                    cold.first_label_map_seconds
                ),
            ),
            line(
                "outside of the networks",
                format!("{:.1} %", 100.0 * warm.outside_network),
            ),
            line("window", format!("{:.2} ms", warm.window_ms)),
            line(
                "windows per second",
                format!("{:.1}", warm.windows_per_second),
            ),
            line(
                "all together",
                format!(
                    "{:.3} s per case, {} cases",
                    self.batch.seconds_per_case, self.batch.cases
                ),
            ),
            line(
                "peak memory",
                format!(
                    "{}, all together {}",
                    gigabytes(memory.one_by_one_bytes),
                    gigabytes(memory.batch_bytes)
                ),
            ),
        ];
        if memory.device_bytes.is_some() {
            figures.push(line("device memory", gigabytes(memory.device_bytes)));
        }
        let mut text = Text::new();
        text.table(&facts).blank();
        text.table(&rows).blank();
        text.table(&figures);
        text
    }

    fn machine_text(&self) -> String {
        let processors = &self.machine.processors;
        let mut text = format!("{}, {} cores", processors.cpu, processors.cores);
        for gpu in &processors.gpus {
            text.push_str(", ");
            text.push_str(gpu);
        }
        text
    }
}
