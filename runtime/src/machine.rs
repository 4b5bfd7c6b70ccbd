//! The machine of a measurement or profile.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde::{Deserialize, Serialize};
use vesal_cli::host_memory::HostMemory;
use vesal_engine::find_program;

/// Folder in which NVIDIA's Linux driver lists the GPUs.
const NVIDIA_GPUS: &str = "/proc/driver/nvidia/gpus";

/// The parts of a machine that determine the speed of networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Processors {
    /// The processor's name, or its architecture where the system states no name.
    pub cpu: String,
    /// Processor cores that this process may use.
    pub cores: usize,
    /// Names of the NVIDIA GPUs, in the driver's order.
    pub gpus: Vec<String>,
}

/// A machine, as context of measurements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    #[serde(flatten)]
    pub processors: Processors,
    /// Limit of this process's memory; null where the system does not state it.
    pub memory_bytes: Option<u64>,
    /// Operating system, with its version if known.
    pub os: String,
}

impl Processors {
    /// The processors of the machine that this process runs on.
    pub fn here() -> Self {
        Self {
            cpu: cpu().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            gpus: gpus(Path::new(NVIDIA_GPUS)).unwrap_or_default(),
        }
    }
}

impl Machine {
    /// The machine that this process runs on.
    pub fn here() -> Self {
        Self {
            processors: Processors::here(),
            memory_bytes: HostMemory::read().map(|memory| memory.total),
            os: os().unwrap_or_else(|| std::env::consts::OS.to_owned()),
        }
    }
}

fn cpu() -> Option<String> {
    let name = if cfg!(target_os = "macos") {
        answer("sysctl", &["-n", "machdep.cpu.brand_string"])
    } else if cfg!(windows) {
        std::env::var("PROCESSOR_IDENTIFIER").ok()
    } else {
        let line = field("/proc/cpuinfo", "model name")?;
        Some(line.trim_start_matches([':', ' ', '\t']).to_owned())
    };
    name.filter(|name| !name.is_empty())
}

fn os() -> Option<String> {
    let name = field("/etc/os-release", "PRETTY_NAME=")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Some(
        format!("{} {}", name.trim_matches('"'), kernel.trim())
            .trim()
            .to_owned(),
    )
}

/// Names of GPUs by the driver's own files; each GPU has a folder named after its bus address.
fn gpus(folder: &Path) -> Option<Vec<String>> {
    let folders: BTreeSet<_> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    let name = |gpu: &Path| {
        let text = fs::read_to_string(gpu.join("information")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Model:"))?;
        Some(line.trim().to_owned())
    };
    Some(folders.iter().filter_map(|gpu| name(gpu)).collect())
}

/// Memory in use on a GPU by all processes, from `nvidia-smi`.
pub fn gpu_memory_in_use(index: u32) -> Option<u64> {
    // The tool lists all GPUs, CUDA only those that the variable makes visible.
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    let gpu = if visible.is_empty() {
        index.to_string()
    } else {
        visible.split(',').nth(index as usize)?.trim().to_owned()
    };
    let query = ["--query-gpu=memory.used", "--format=csv,noheader,nounits"];
    let mebibytes = answer("nvidia-smi", &["-i", &gpu, query[0], query[1]])?;
    mebibytes.parse::<u64>().ok()?.checked_mul(1 << 20)
}

/// Output of a program, if it exists and succeeds.
fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let program = find_program(program)?;
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The rest of the first line of a file with this prefix.
fn field(file: &str, begin: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(begin))?;
    Some(rest.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_named_in_the_order_of_the_bus() {
        let folder = tempfile::tempdir().unwrap();
        for (address, model) in [("0000:b1:00.0", "B"), ("0000:04:00.0", "A 80GB")] {
            let gpu = folder.path().join(address);
            fs::create_dir(&gpu).unwrap();
            fs::write(
                gpu.join("information"),
                format!("Model: \t\t {model}\nIRQ:   1\n"),
            )
            .unwrap();
        }
        assert_eq!(gpus(folder.path()).unwrap(), ["A 80GB", "B"]);
        assert_eq!(gpus(&folder.path().join("none")), None);
    }

    #[test]
    fn a_machine_has_a_processor_and_the_same_one_every_time() {
        let machine = Machine::here();
        assert!(!machine.processors.cpu.is_empty() && machine.processors.cores > 0);
        assert_eq!(machine, Machine::here());
    }
}
