//! Puts lowered networks, plan and probe into a bundle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn_flex::Flex;
use thiserror::Error;
use vesal_bundle::deploy_plan::{self, DeployPlan};
use vesal_bundle::manifest::{EnsembleRecord, Manifest, Member, MemberProvenance, Provenance};
use vesal_bundle::probe::{self, ProbeError};
use vesal_bundle::{Bundle, BundleWriter, WriteError};
use vesal_engine::library::{self, LibraryError, Runtime};
use vesal_engine::verify::VerifyError;
use vesal_engine::{Device, EngineOptions, record_probe};
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
        /// Why.
        source: Box<LowerError>,
    },
    /// A network computes something else in ONNX Runtime.
    #[error("member {member} does not compute the same in ONNX Runtime")]
    Parity {
        /// The member, from 0.
        member: usize,
        /// Why.
        source: Box<ParityError>,
    },
    /// The probe cannot be recorded.
    #[error("the probe cannot be recorded")]
    Record(#[from] VerifyError),
    /// The probe cannot be encoded.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The bundle cannot be written.
    #[error("the bundle cannot be written")]
    Write(#[from] WriteError),
}

impl AssembleError {
    /// A remedy, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Library(error) => error.hint(),
            Self::Record(error) => error.hint(),
            Self::Write(error) => error.hint(),
            Self::Probe(_) | Self::Interface { .. } | Self::Lower { .. } | Self::Parity { .. } => {
                None
            }
        }
    }
}

/// One network on its way into a bundle.
#[derive(Debug)]
pub struct Candidate {
    /// Its file in the bundle.
    pub file: String,
    /// Its weight in the ensemble.
    pub weight: f64,
    /// Its description.
    pub config: NetworkConfig,
    /// The network with its weights.
    pub network: Network<Flex>,
    /// Where it came from.
    pub provenance: MemberProvenance,
}

/// What surrounds the networks.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Name of the task.
    pub name: String,
    /// Version of the bundle, if its makers count.
    pub version: Option<String>,
    /// The deploy plan.
    pub plan: &'a DeployPlan,
    /// Bytes of the plan's file.
    pub plan_bytes: &'a [u8],
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
    /// Version of the bundle, if its makers count.
    pub version: Option<String>,
    /// Whether a bundle there may be replaced.
    pub overwrite: bool,
    /// File or folder of ONNX Runtime's library; looked for if not given.
    pub library: Option<PathBuf>,
}

/// A written bundle.
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

/// Lowers, checks and compares every network, records the probe and writes the bundle.
///
/// **Errors**: [`AssembleError`]; nothing is written then.
pub fn assemble(
    (runtime, mut writer): (&'static Runtime, BundleWriter),
    frame: &Frame<'_>,
    candidates: Vec<Candidate>,
    progress: &mut dyn FnMut(&str),
) -> Result<Assembled, AssembleError> {
    let mut networks = Vec::new();
    let mut members = Vec::new();
    let mut parities = Vec::new();
    for (member, candidate) in candidates.into_iter().enumerate() {
        progress(&format!(
            "{}: lowering, checking, comparing",
            candidate.file
        ));
        check_interface(member, &candidate.config, frame.plan)?;
        let window = frame.plan.window.size;
        let onnx =
            lower::to_onnx(&candidate.network, &candidate.config, window).map_err(|source| {
                AssembleError::Lower {
                    member,
                    source: Box::new(source),
                }
            })?;
        let parity = parity::compare(runtime, &candidate.network, &candidate.config, window)
            .map_err(|source| AssembleError::Parity {
                member,
                source: Box::new(source),
            })?;
        parities.push(parity);
        writer.add(&candidate.file, &onnx)?;
        networks.push(onnx);
        members.push(Member {
            file: candidate.file,
            weight: candidate.weight,
            provenance: candidate.provenance,
        });
    }

    progress("recording the probe");
    let weighted: Vec<(&[u8], f64)> = networks
        .iter()
        .zip(&members)
        .map(|(onnx, member): (&Vec<u8>, &Member)| (onnx.as_slice(), member.weight))
        .collect();
    let options = EngineOptions {
        device: Device::Cpu,
        library: Some(runtime.path().to_path_buf()),
        ..Default::default()
    };
    let interface = parity::interface();
    let probe = record_probe(
        frame.plan,
        &interface,
        &weighted,
        frame.ensemble.combine,
        &options,
    )?;
    writer.add(deploy_plan::FILE_NAME, frame.plan_bytes)?;
    writer.add(probe::FILE_NAME, &probe.to_json()?)?;
    let bundle = writer.finish(Manifest {
        name: frame.name.clone(),
        version: frame.version.clone(),
        deploy_plan: deploy_plan::FILE_NAME.into(),
        probe: probe::FILE_NAME.into(),
        network: interface,
        members,
        ensemble: frame.ensemble.clone(),
        provenance: Provenance {
            versions: BTreeMap::from([
                ("vesal-export".into(), env!("CARGO_PKG_VERSION").into()),
                ("burn".into(), BURN_VERSION.into()),
                ("onnxruntime".into(), runtime.version().into()),
            ]),
            data_stats_sha256: frame.data_stats_sha256.clone(),
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
