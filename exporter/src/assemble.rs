//! Assembles lowered networks, plans and the probe into a bundle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn_flex::Flex;
use thiserror::Error;
use vesal_bundle::deploy_plan::{self, DeployPlan};
use vesal_bundle::manifest::{EnsembleRecord, Manifest, Member, MemberProvenance, Provenance};
use vesal_bundle::probe::{self, Probe, ProbeError, ProbeRecorder};
use vesal_bundle::{Bundle, BundleWriteError, BundleWriter};
use vesal_cli::host_memory::HostMemory;
use vesal_engine::library::{self, LibraryError, Runtime};
use vesal_models::Network;
use vesal_network::NetworkConfig;
use vesal_onnx::OnnxModel;

use crate::lower::{self, LowerError};
use crate::parity::{self, Parity, ParityError};

/// Version of Burn that computes the parity, and in which the networks are written.
const BURN_VERSION: &str = "0.21.0";

/// Why networks cannot be assembled into a bundle.
#[derive(Debug, Error)]
pub enum AssembleError {
    /// ONNX Runtime is not available.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// Channels or classes of the network differ from the plan.
    #[error("member {member} has {found} {what}, the deploy plan has {expected}")]
    Interface {
        /// The member, from 0.
        member: usize,
        /// Input channels or classes.
        what: &'static str,
        /// Number in the network.
        found: usize,
        /// Number in the plan.
        expected: usize,
    },
    /// A network cannot be lowered.
    #[error("member {member} cannot be lowered to ONNX")]
    Lower {
        /// The member, from 0.
        member: usize,
        source: Box<LowerError>,
    },
    /// A window whose activations do not fit the memory of this machine.
    #[error(
        "member {member} takes about {:.1} GiB for a window of {window:?} voxels, at which it is compared with Burn, and {:.1} GiB of memory are free",
        gib(*needed), gib(*available)
    )]
    Memory {
        /// The member, from 0.
        member: usize,
        /// Window in voxels.
        window: [usize; 3],
        /// Bytes of the activations.
        needed: u64,
        /// Bytes that this process can still allocate.
        available: u64,
    },
    /// A network computes other values in ONNX Runtime.
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
            Self::Memory { .. } => Some(
                "a smaller window: `--roi X,Y,Z` of an import, `roi_size` of a plan; or a machine with more memory",
            ),
            Self::Probe(_) | Self::Interface { .. } | Self::Lower { .. } | Self::Parity { .. } => {
                None
            }
        }
    }
}

/// A network to be added to a bundle.
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
    /// Provenance.
    pub provenance: MemberProvenance,
}

/// A deploy plan to be added to a bundle.
#[derive(Debug)]
pub struct PlanFile {
    /// Its path in the bundle.
    pub file: String,
    pub plan: DeployPlan,
    /// The bytes of the file at training.
    pub bytes: Vec<u8>,
}

/// Path in a bundle of its deploy plan of this index.
pub fn plan_file(index: usize) -> String {
    match index {
        0 => deploy_plan::FILE_NAME.to_owned(),
        index => format!("deploy_plan_{}.json", index + 1),
    }
}

/// Content of a bundle besides its networks.
#[derive(Debug)]
pub struct BundleMetadata {
    /// Name of the task.
    pub name: String,
    /// Version given by its makers, if there is one.
    pub version: Option<String>,
    /// The deploy plans that members refer to, in the order of the first members that do.
    pub plans: Vec<PlanFile>,
    /// How the networks are combined, and the rule of their choice.
    pub ensemble: EnsembleRecord,
    /// SHA-256 of the data stats, if known.
    pub data_stats_sha256: Option<String>,
}

/// Destination of a bundle.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Directory of the bundle.
    pub output: PathBuf,
    /// Version given by its makers, if there is one.
    pub version: Option<String>,
    /// Whether an existing bundle may be replaced.
    pub overwrite: bool,
    /// File or folder of ONNX Runtime's library; searched for if not given.
    pub library: Option<PathBuf>,
}

#[derive(Debug)]
pub struct Assembled {
    /// The bundle, opened as a reader would.
    pub bundle: Bundle,
    /// Parity of each member with its ONNX form.
    pub parities: Vec<Parity>,
}

/// Checks that a bundle can be written and networks can be run, before hours of work.
///
/// **Errors**: ONNX Runtime is not available, or the destination must not be replaced.
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
/// **Errors**: [`AssembleError`]; nothing is written in that case.
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
        let needed = activation_bytes(&onnx).map_err(|source| AssembleError::Lower {
            member,
            source: Box::new(source),
        })?;
        check_memory(member, plan.window.size, needed)?;
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

/// Bytes of the activations of one window.
fn activation_bytes(onnx: &[u8]) -> Result<u64, LowerError> {
    let network = OnnxModel::load(onnx.to_vec())?;
    Ok(network.activation_bytes(1, size_of::<f32>(), false)?)
}

/// Refuses a network whose activations at the deployed window do not fit the free memory, where it is known: it is compared
/// with Burn at this window.
fn check_memory(member: usize, window: [usize; 3], needed: u64) -> Result<(), AssembleError> {
    match HostMemory::read() {
        Some(HostMemory { available, .. }) if needed > available => Err(AssembleError::Memory {
            member,
            window,
            needed,
            available,
        }),
        _ => Ok(()),
    }
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / (1_u64 << 30) as f64
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
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_window_beyond_the_memory_of_this_machine_is_refused() {
        assert!(check_memory(0, [512; 3], 1 << 20).is_ok());
        let error = check_memory(1, [512, 512, 448], 1 << 50).unwrap_err();
        let text = error.to_string();
        let expected = "member 1 takes about 1048576.0 GiB for a window of [512, 512, 448] voxels";
        assert!(text.starts_with(expected), "{text}");
        assert!(error.hint().unwrap().contains("--roi X,Y,Z"));
    }

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
