//! Limits of a prediction's process, so that an image that exhausts memory ends its prediction and nothing else.

use std::process::Child;

/// Memory for data beyond what the plan of a prediction allows: thread stacks, allocators, libraries.
const MARGIN_BYTES: u64 = 1 << 30;

/// Limits a process that has just been started: its memory for data, by a quarter and 1 GiB more than `run_ram`; no
/// dumps of its memory, which would hold images; and where memory runs out, the system ends it first. Gives the bytes
/// of data.
///
/// Data are counted, not addresses: a driver of GPUs reserves far more addresses than there is memory.
#[cfg(target_os = "linux")]
pub fn set(child: &Child, run_ram: Option<u64>) -> Option<u64> {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let process = Some(Pid::from_child(child));
    let limit = |resource, bytes| {
        let limit = Rlimit {
            current: Some(bytes),
            maximum: Some(bytes),
        };
        prlimit(process, resource, limit)
    };
    // It may have ended already. Where the system refuses a limit, the memory plan of the prediction still holds.
    let _ = limit(Resource::Core, 0);
    let score = format!("/proc/{}/oom_score_adj", child.id());
    let _ = std::fs::write(score, "1000");
    let bytes = run_ram.map(|ram| ram.saturating_add(ram / 4).saturating_add(MARGIN_BYTES))?;
    limit(Resource::Data, bytes).is_ok().then_some(bytes)
}

/// On other systems, the limits of another process cannot be set.
#[cfg(not(target_os = "linux"))]
pub fn set(_: &Child, _: Option<u64>) -> Option<u64> {
    None
}
