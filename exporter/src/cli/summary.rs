//! What a command made, for people and for programs.

use std::path::PathBuf;

use serde::Serialize;

use crate::assemble::Assembled;

/// Name of the printed object's format.
const FORMAT: &str = "vesal-export-summary";
/// Version of that format.
const FORMAT_VERSION: u32 = 1;

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    format: &'static str,
    format_version: u32,
    bundle: PathBuf,
    /// SHA-256 of the manifest: the bundle's identity.
    digest: String,
    name: String,
    opset: i64,
    members: Vec<MemberSummary>,
    assumptions: Vec<String>,
}

#[derive(Debug, Serialize)]
struct MemberSummary {
    file: String,
    bytes: u64,
    parity: ParitySummary,
}

/// Agreement of Burn and ONNX Runtime.
#[derive(Debug, Serialize)]
struct ParitySummary {
    max_difference: f64,
    limit: f64,
    max_logit: f64,
    window: [usize; 3],
}

impl Summary {
    pub fn new(assembled: &Assembled, assumptions: Vec<String>) -> Self {
        let manifest = assembled.bundle.manifest();
        let members = manifest
            .members
            .iter()
            .zip(&assembled.parities)
            .map(|(member, parity)| MemberSummary {
                file: member.file.clone(),
                bytes: manifest
                    .files
                    .get(&member.file)
                    .map_or(0, |entry| entry.bytes),
                parity: ParitySummary {
                    max_difference: parity.max_difference,
                    limit: parity.limit(),
                    max_logit: parity.max_logit,
                    window: parity.window,
                },
            });
        Self {
            format: FORMAT,
            format_version: FORMAT_VERSION,
            bundle: assembled.bundle.directory().to_path_buf(),
            digest: assembled.bundle.digest().to_owned(),
            name: manifest.name.clone(),
            opset: manifest.network.opset,
            members: members.collect(),
            assumptions,
        }
    }

    /// The same for people.
    pub fn text(&self) -> String {
        let mut lines: Vec<String> = self
            .assumptions
            .iter()
            .map(|assumption| format!("assumed: {assumption}"))
            .collect();
        for member in &self.members {
            let ParitySummary {
                max_difference,
                limit,
                ..
            } = &member.parity;
            lines.push(format!(
                "{}: {:.1} MB, differs from Burn by {max_difference:.1e} at most (limit {limit:.1e})",
                member.file,
                member.bytes as f64 / 1e6,
            ));
        }
        lines.push(format!(
            "bundle `{}` written to {}",
            self.name,
            self.bundle.display()
        ));
        lines.push(format!("SHA-256 {}", self.digest));
        lines.join("\n") + "\n"
    }
}
