//! `vesal tune`: measures the fastest settings of networks on this machine, and stores them as a profile.

pub mod document;
pub mod error;
pub mod options;
pub mod search;

use std::num::NonZeroUsize;
use std::path::Path;

use vesal_bundle::Bundle;
use vesal_cases::{Assessed, CaseInput, CheckedCase, Choosing, ReadError};
use vesal_cli::host_memory::HostMemory;
use vesal_engine::library::{self, Runtime};
use vesal_engine::plugin::OTHERS;
use vesal_engine::verify::VerifyError;
use vesal_engine::{Device, EngineError, PreparedCase, Provider, trial};
use vesal_io::dicom::Policy;
use vesal_io::image::{Believe, OpenOptions};

use self::error::TuneError;
use self::search::{Attempt, Space, TrialMeasurement, explore};
use crate::error::{Error, one_line};
use crate::machine::Machine;
use crate::observe::{Cases, Observer};
use crate::peak_memory;
use crate::profile::{self, ExecutionSettings, Profile, ProfileError, ProfileKey};

pub use self::document::{Forgotten, Tuning};
pub use self::options::TuneOptions;

/// Windows that a GPU is measured with: several of the largest batches, because transfers overlap computation.
const GPU_WINDOWS: usize = 32;
/// Fewest windows that a processor is measured with, where one may take seconds.
const CPU_WINDOWS: usize = 2;

/// Measures, and stores the best settings as a profile.
///
/// **Errors**: no settings pass the probe, the scan is not one case, the profile cannot be stored, or the observer
/// stops it.
pub fn tune(options: &TuneOptions, observer: &dyn Observer) -> Result<Tuning, Error> {
    let bundle = open(&options.bundle)?;
    let name = &bundle.manifest().name;
    let attempted = |error: Error| error.attempting(format!("cannot tune `{name}`"));
    let runtime = library::runtime(options.library.ort_lib.as_deref())
        .map_err(|error| attempted(error.into()))?;
    let scan = match &options.input {
        Some(path) => Some(prepared(path, &bundle, options.nifti.believe())?),
        None => None,
    };
    let mut trials = Trials {
        bundle: &bundle,
        runtime,
        scan,
        observer,
        first_error: None,
    };
    let cases = Cases::begin(observer, 1);
    let explored = explore(&space(options.device), &mut |settings| {
        trials.measure(settings)
    });
    drop(cases);
    let (tried, best) = explored.map_err(attempted)?;
    let Some((settings, window_ms)) = best.and_then(|best| tried[best].usable()) else {
        let ran = tried
            .iter()
            .any(|tried| matches!(tried.attempt, Attempt::Measured(_)));
        let nothing = TuneError::NothingPasses { tried: tried.len() };
        let error = trials.first_error.filter(|_| !ran);
        return Err(attempted(error.unwrap_or_else(|| nothing.into())));
    };
    let key = ProfileKey::new(&bundle, runtime.version(), options.device);
    let profile = Profile::new(key, settings, window_ms);
    let file = profile.keep().map_err(not_kept)?;
    Ok(Tuning {
        bundle: name.clone(),
        machine: Machine::here(),
        tried,
        best,
        profile,
        profile_file: file.display().to_string(),
    })
}

/// Removes the profiles of a bundle.
///
/// **Errors**: the bundle cannot be opened, or a file cannot be removed.
pub fn forget(bundle: &Path) -> Result<Forgotten, Error> {
    let bundle = open(bundle)?;
    let removed = profile::forget(&bundle).map_err(not_kept)?;
    Ok(Forgotten::new(&bundle, &removed))
}

fn open(path: &Path) -> Result<Bundle, Error> {
    Bundle::open_for_use(path).map_err(|error| Error::bundle(path, error))
}

/// Candidates of devices and providers.
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

/// Measures settings one by one.
struct Trials<'a> {
    bundle: &'a Bundle,
    runtime: &'static Runtime,
    scan: Option<PreparedCase>,
    observer: &'a dyn Observer,
    /// Error of the first settings that did not run.
    first_error: Option<Error>,
}

impl Trials<'_> {
    /// Tries settings.
    ///
    /// **Errors**: the user stops it, or no synthetic case can be made.
    fn measure(&mut self, settings: &ExecutionSettings) -> Result<Attempt, Error> {
        self.observer.case(&format!(
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
                made_up = PreparedCase::made_up(self.bundle.groups(), windows(settings))?;
                &made_up
            }
        };
        let options = settings.engine_options(Some(self.runtime.path()));
        let proceed = &mut || self.observer.proceed();
        match trial(self.bundle, &options, case, proceed) {
            Ok(trial) => Ok(Attempt::Measured(TrialMeasurement::new(&trial))),
            Err(VerifyError::Engine(error @ EngineError::Stopped)) => Err(error.into()),
            Err(error) => {
                let reason = one_line(&error);
                self.first_error.get_or_insert_with(|| Error::replay(error));
                Ok(Attempt::Refused(reason))
            }
        }
    }
}

/// Windows of a synthetic case.
fn windows(settings: &ExecutionSettings) -> usize {
    match settings.device {
        Device::Cuda(_) => GPU_WINDOWS,
        Device::Auto | Device::Cpu => CPU_WINDOWS.max(settings.batch.map_or(1, usize::from)),
    }
}

/// Why a batch is not tried: on a processor, one of double size may need twice the memory so far.
fn too_large(settings: &ExecutionSettings) -> Option<String> {
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
fn prepared(path: &Path, bundle: &Bundle, believe: Option<Believe>) -> Result<PreparedCase, Error> {
    let plan = bundle.plan();
    let mut found =
        vesal_cases::find(&[path.to_owned()], &plan.channels, Choosing::default()).candidates;
    let count = found.len();
    let (Some(candidate), 1) = (found.pop(), count) else {
        return Err(TuneError::NotOneCase { found: count }.into());
    };
    let checked = match candidate.input? {
        CaseInput::Files(files) => CheckedCase::files(files, plan, OpenOptions { believe }),
        CaseInput::Stacks(stacks) => Assessed::of(stacks, Policy::Resample)
            .map_err(ReadError::from)
            .and_then(|assessed| CheckedCase::stacks(assessed, plan)),
    };
    let images = checked
        .and_then(|checked| checked.read())
        .map_err(|error| Error::read(error, Some(path)))?;
    Ok(PreparedCase::new(images.volumes, bundle.groups())?)
}

fn not_kept(error: ProfileError) -> Error {
    Error::Profile(error).attempting("cannot change the user's profiles")
}
