//! Puts lowered networks, plan and probe into a bundle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn_flex::Flex;
use thiserror::Error;
use vesal_bundle::DeployPlan;
use vesal_bundle::manifest::{EnsembleRecord, Manifest, Member, MemberProvenance, Provenance};
use vesal_bundle::probe::{self, Probe, ProbeError, ProbeRecorder};
use vesal_bundle::{Bundle, BundleWriteError, BundleWriter};
use vesal_engine::library::{self, LibraryError, Runtime};
use vesal_models::Network;
use vesal_network::NetworkConfig;

use crate::lower::{self, LowerError};
use crate::parity::{self, Parity, ParityError};

/// Version of Burn that computes the parity, and that the networks are written in.
const BURN_VERSION: &str = "0.21.0";

/// Why networks do not become a bundle.
#[derive(Debug, Error)]
pub enum AssembleError {
    /// ONNX Runtime is not at hand.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The network takes or gives something else than the plan.
    #[error("member {member} has {found} {what}, the deploy plan has {expected}")]
    Interface {
        /// The member, from 0.
        member: usize,
        /// Input channels or classes.
        what: &'static str,
        /// How many the network has.
        found: usize,
        /// How many the plan has.
        expected: usize,
    },
    /// A network cannot be lowered.
    #[error("member {member} cannot be lowered to ONNX")]
    Lower {
        /// The member, from 0.
        member: usize,
        source: Box<LowerError>,
    },
    /// A network computes something else in ONNX Runtime.
    #[error("member {member} does not compute the same in ONNX Runtime")]
    Parity {
        /// The member, from 0.
        member: usize,
        source: Box<ParityError>,
    },
    /// The probe cannot be recorded or encoded.
    #[error("the probe cannot be recorded")]
    Probe(#[from] ProbeError),
    /// The bundle cannot be written.
    #[error("the bundle cannot be written")]
    Write(#[from] BundleWriteError),
}

impl AssembleError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Library(error) => error.hint(),
            Self::Write(error) => error.hint(),
            Self::Probe(_) | Self::Interface { .. } | Self::Lower { .. } | Self::Parity { .. } => {
                None
            }
        }
    }
}

/// One network on its way into a bundle.
#[derive(Debug)]
pub struct MemberCandidate {
    /// Its file in the bundle.
    pub file: String,
    /// Index of its deploy plan among those of the bundle.
    pub plan: usize,
    /// Its weight in the ensemble.
    pub weight: f64,
    pub config: NetworkConfig,
    /// The network with its weights.
    pub network: Network<Flex>,
    /// Where it came from.
    pub provenance: MemberProvenance,
}

/// A deploy plan on its way into a bundle.
#[derive(Debug)]
pub struct PlanFile {
    /// Its path in the bundle.
    pub file: String,
    pub plan: DeployPlan,
    /// The bytes of the file as they were trained with.
    pub bytes: Vec<u8>,
}

/// What a bundle holds beside its networks.
#[derive(Debug)]
pub struct BundleMetadata {
    /// Name of the task.
    pub name: String,
    /// Version given by its makers, if there is one.
    pub version: Option<String>,
    /// The deploy plans that members refer to, in the order of the first members that do.
    pub plans: Vec<PlanFile>,
    /// How the networks are combined, and why it is them.
    pub ensemble: EnsembleRecord,
    /// SHA-256 of the data stats, if known.
    pub data_stats_sha256: Option<String>,
}

/// Where and how a bundle is written.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Directory of the bundle.
    pub output: PathBuf,
    /// Version given by its makers, if there is one.
    pub version: Option<String>,
    /// Whether a bundle there may be replaced.
    pub overwrite: bool,
    /// File or folder of ONNX Runtime's library; looked for if not given.
    pub library: Option<PathBuf>,
}

#[derive(Debug)]
pub struct Assembled {
    /// The bundle, opened as a reader would.
    pub bundle: Bundle,
    /// How well each member agrees with its ONNX form.
    pub parities: Vec<Parity>,
}

/// Makes sure that a bundle can be written and networks be run, before hours of work are spent on them.
///
/// **Errors**: ONNX Runtime is not at hand, or the destination must not be replaced.
pub fn prepare(
    destination: &Destination,
) -> Result<(&'static Runtime, BundleWriter), AssembleError> {
    let runtime = library::runtime(destination.library.as_deref())?;
    let writer = BundleWriter::create(&destination.output, destination.overwrite)?;
    Ok((runtime, writer))
}

/// Lowers and checks every network, compares the bytes that ship with Burn at the deployed window, records Burn's answers
/// as the probe, and writes the bundle.
///
/// **Errors**: [`AssembleError`]; nothing is written then.
pub fn assemble(
    (runtime, mut writer): (&'static Runtime, BundleWriter),
    metadata: BundleMetadata,
    candidates: Vec<MemberCandidate>,
    progress: &mut dyn FnMut(&str),
) -> Result<Assembled, AssembleError> {
    let mut members = Vec::new();
    let mut parities = Vec::new();
    let plans = &metadata.plans;
    let combine = metadata.ensemble.combine;
    let mut recorders: Vec<_> = plans
        .iter()
        .map(|plan| ProbeRecorder::new(&plan.plan, combine))
        .collect();
    for (member, candidate) in candidates.into_iter().enumerate() {
        progress(&format!(
            "{}: lowering, checking, comparing with Burn at the deployed window",
            candidate.file
        ));
        let PlanFile { file, plan, .. } = &plans[candidate.plan];
        check_interface(member, &candidate.config, plan)?;
        let lowered = lower::to_onnx(&candidate.network, &candidate.config, plan.window.size);
        let onnx = lowered.map_err(|source| AssembleError::Lower {
            member,
            source: Box::new(source),
        })?;
        let recorder = &mut recorders[candidate.plan];
        let comparison = parity::compare(
            runtime,
            &onnx,
            &candidate.network,
            &candidate.config,
            recorder.input(),
        );
        let (parity, logits) = comparison.map_err(|source| AssembleError::Parity {
            member,
            source: Box::new(source),
        })?;
        recorder.add(logits, candidate.weight)?;
        parities.push(parity);
        writer.add(&candidate.file, &onnx)?;
        members.push(Member {
            file: candidate.file,
            deploy_plan: file.clone(),
            weight: candidate.weight,
            provenance: candidate.provenance,
        });
    }
    let probe = Probe::record(recorders)?;
    for plan in plans {
        writer.add(&plan.file, &plan.bytes)?;
    }
    writer.add(probe::FILE_NAME, &probe.to_json()?)?;
    let bundle = writer.finish(Manifest {
        name: metadata.name,
        version: metadata.version,
        probe: probe::FILE_NAME.into(),
        network: parity::interface(),
        members,
        ensemble: metadata.ensemble,
        provenance: Provenance {
            versions: BTreeMap::from([
                ("vesal-export".into(), env!("CARGO_PKG_VERSION").into()),
                ("burn".into(), BURN_VERSION.into()),
                ("onnxruntime".into(), runtime.version().into()),
            ]),
            data_stats_sha256: metadata.data_stats_sha256,
        },
        files: BTreeMap::new(),
    })?;
    Ok(Assembled { bundle, parities })
}

fn check_interface(
    member: usize,
    config: &NetworkConfig,
    plan: &DeployPlan,
) -> Result<(), AssembleError> {
    let counts = [
        ("input channels", config.in_channels(), plan.channels.len()),
        ("classes", config.out_channels(), plan.labels.len()),
    ];
    match counts
        .into_iter()
        .find(|(_, found, expected)| found != expected)
    {
        None => Ok(()),
        Some((what, found, expected)) => Err(AssembleError::Interface {
            member,
            what,
            found,
            expected,
        }),
    }
}

/// Last component of a path, for names and messages.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_stated_version_of_burn_is_the_one_in_use() {
        let lock = include_str!("../../Cargo.lock");
        let expected = format!("name = \"burn\"\nversion = \"{}\"", super::BURN_VERSION);
        assert!(
            lock.contains(&expected),
            "Cargo.lock has another version of burn"
        );
    }
}
