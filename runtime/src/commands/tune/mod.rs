//! `vesal tune`: measures how networks run fastest here, and keeps that as a profile.

mod document;
mod search;

use std::num::NonZeroUsize;
use std::path::Path;

use vesal_bundle::Bundle;
use vesal_cli::host_memory::HostMemory;
use vesal_cli::{Exit, Failure, stdout};
use vesal_engine::library::{self, Runtime};
use vesal_engine::plugin::OTHERS;
use vesal_engine::verify::VerifyError;
use vesal_engine::{Device, EngineError, PreparedCase, Provider, trial};
use vesal_io::dicom::Policy;
use vesal_io::nifti::Believe;

use self::document::{Document, Forgotten};
use self::search::{Attempt, Measured, Space, explore};
use crate::case::{self, Assessed, Checked, Choosing, Input, ReadError};
use crate::cli::TuneArguments;
use crate::commands::verify::replay_failure;
use crate::machine::Machine;
use crate::profile::{Profile, ProfileError, Settings, Subject, forget};
use crate::progress::Progress;
use crate::{failure, interrupt, peak_memory};

/// Windows that a GPU is measured with: several of the largest batches, for transfers overlap computation.
const GPU_WINDOWS: usize = 32;
/// Fewest windows that a processor is measured with, where one may take seconds.
const CPU_WINDOWS: usize = 2;

/// There is nothing to choose among.
#[derive(Debug, thiserror::Error)]
#[error("none of {tried} settings passes the bundle's test on this machine")]
struct NothingPasses {
    tried: usize,
}

/// An input that is not one case.
#[derive(Debug, thiserror::Error)]
#[error("`--input` names {found} cases, expected 1")]
struct NotOneCase {
    found: usize,
}

/// Measures, prints what was measured, and keeps the best settings; or removes what was kept.
pub fn run(arguments: &TuneArguments) -> Result<Exit, Failure> {
    interrupt::listen()?;
    let bundle = Bundle::open_for_use(&arguments.bundle)
        .map_err(|error| failure::bundle(&arguments.bundle, error))?;
    if arguments.forget {
        return remove(&bundle, arguments.json);
    }
    let attempt = format!("cannot tune `{}`", bundle.manifest().name);
    let runtime = library::runtime(arguments.library.ort_lib.as_deref())
        .map_err(|error| failure::library(error).attempting(&attempt))?;
    let scan = match &arguments.input {
        Some(path) => Some(prepared(
            path,
            &bundle,
            arguments.nifti_form.map(Into::into),
        )?),
        None => None,
    };
    let mut tuning = Tuning {
        bundle: &bundle,
        runtime,
        scan,
        progress: Progress::new(1),
        first_failure: None,
    };
    let (tried, best) = explore(&space(arguments.device), &mut |settings| {
        tuning.measure(settings)
    })
    .map_err(|failure| failure.attempting(&attempt))?;
    let first_failure = tuning.first_failure.take();
    drop(tuning);
    let Some((settings, window_ms)) = best.and_then(|best| tried[best].usable()) else {
        let nothing = NothingPasses { tried: tried.len() };
        let failure = Failure::new(Exit::Device, nothing)
            .hint("`vesal verify BUNDLE` shows how far its answers are apart".to_owned());
        let ran = tried
            .iter()
            .any(|tried| matches!(tried.attempt, Attempt::Measured(_)));
        let failure = first_failure.filter(|_| !ran).unwrap_or(failure);
        return Err(failure.attempting(&attempt));
    };
    let subject = Subject::new(&bundle, runtime.version(), arguments.device);
    let profile = Profile::new(subject, settings, window_ms);
    let file = profile.keep().map_err(not_kept)?;
    let document = Document::new(&bundle, Machine::here(), &profile, &tried, best, &file);
    if arguments.json {
        stdout::print_json(&document)?;
    } else {
        stdout::print(&document.text())?;
    }
    Ok(Exit::Success)
}

/// Where networks could run at all.
fn space(device: Device) -> Space {
    let devices = match device {
        Device::Auto => vec![Device::Cuda(0), Device::Cpu],
        device => vec![device],
    };
    let mut starts = Vec::new();
    for device in devices {
        let providers = std::iter::once(Provider::Native).chain(OTHERS);
        let serving = providers.filter(|provider| provider.serves(device));
        starts.extend(serving.map(|provider| (device, provider)));
    }
    Space {
        starts,
        cores: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    }
}

/// Measurements on their way.
struct Tuning<'a> {
    bundle: &'a Bundle,
    runtime: &'static Runtime,
    scan: Option<PreparedCase>,
    progress: Progress,
    /// Why the first settings that did not run did not.
    first_failure: Option<Failure>,
}

impl Tuning<'_> {
    /// Tries settings.
    ///
    /// **Errors**: the user stops it, or no case can be made up.
    fn measure(&mut self, settings: &Settings) -> Result<Attempt, Failure> {
        self.progress.case(&format!(
            "{} {} {}",
            settings.device, settings.provider, settings.precision
        ));
        if let Some(reason) = too_large(settings) {
            return Ok(Attempt::Refused(reason));
        }
        let made_up;
        let case = match &self.scan {
            Some(case) => case,
            None => {
                made_up = PreparedCase::made_up(self.bundle.groups(), windows(settings))
                    .map_err(failure::engine)?;
                &made_up
            }
        };
        let options = settings.engine_options(Some(self.runtime.path()));
        match trial(self.bundle, &options, case, &mut interrupt::check) {
            Ok(trial) => Ok(Attempt::Measured(Measured::new(&trial))),
            Err(VerifyError::Engine(error @ EngineError::Stopped)) => Err(failure::engine(error)),
            Err(error) => {
                let reason = failure::one_line(&error);
                self.first_failure
                    .get_or_insert_with(|| replay_failure(error));
                Ok(Attempt::Refused(reason))
            }
        }
    }
}

/// Windows of a made-up case.
fn windows(settings: &Settings) -> usize {
    match settings.device {
        Device::Cuda(_) => GPU_WINDOWS,
        Device::Auto | Device::Cpu => CPU_WINDOWS.max(settings.batch.map_or(1, usize::from)),
    }
}

/// Why a batch is not tried: on a processor, one of double size may need as much again as was needed so far.
fn too_large(settings: &Settings) -> Option<String> {
    let larger = settings.batch.is_some_and(|batch| batch.get() > 1);
    let (peak, free) = (peak_memory::bytes()?, HostMemory::read()?.available);
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    (larger && settings.device == Device::Cpu && peak > free).then(|| {
        format!(
            "may need {:.1} GB more memory, {:.1} GB are free",
            gigabytes(peak),
            gigabytes(free)
        )
    })
}

/// The one case at this path, ready for the networks.
fn prepared(
    path: &Path,
    bundle: &Bundle,
    believe: Option<Believe>,
) -> Result<PreparedCase, Failure> {
    let plan = bundle.plan();
    let mut found = case::find(&[path.to_owned()], &plan.channels, Choosing::default()).candidates;
    let count = found.len();
    let (Some(candidate), 1) = (found.pop(), count) else {
        return Err(Failure::new(Exit::Input, NotOneCase { found: count })
            .hint("name a file, or a folder with one case".to_owned()));
    };
    let checked = match candidate.input.map_err(failure::find)? {
        Input::Files(files) => Checked::files(files, plan, believe),
        Input::Stacks(stacks) => Assessed::of(stacks, Policy::Resample)
            .map_err(ReadError::from)
            .and_then(|assessed| Checked::stacks(assessed, plan)),
    };
    let images = checked
        .and_then(|checked| checked.read())
        .map_err(|error| failure::read(error, Some(path)))?;
    PreparedCase::new(images.volumes, bundle.groups()).map_err(failure::engine)
}

/// Removes what was kept for a bundle.
fn remove(bundle: &Bundle, json: bool) -> Result<Exit, Failure> {
    let removed = forget(bundle).map_err(not_kept)?;
    let forgotten = Forgotten::new(bundle, &removed);
    if json {
        stdout::print_json(&forgotten)?;
    } else {
        stdout::print(&forgotten.text())?;
    }
    Ok(Exit::Success)
}

fn not_kept(error: ProfileError) -> Failure {
    Failure::new(Exit::Output, error).attempting("cannot change the user's profiles")
}
