//! Loading networks with the options of the command line and a profile.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use vesal_bundle::Bundle;
use vesal_engine::{Device, EngineError, EngineOptions, Ensemble, PredictorError, library};

use super::{ExecutionSettings, Profile, ProfileKey, folder};
use crate::options::ComputeOptions;

/// Loaded networks, with the source of their settings.
#[derive(Debug)]
pub struct Opened {
    pub ensemble: Ensemble,
    /// Their settings.
    pub options: EngineOptions,
    /// File of the profile that provided options absent from the command line.
    pub profile: Option<PathBuf>,
    /// A profile that was not used because its device no longer works, with the reason.
    pub unusable: Option<EngineError>,
}

/// Loads the networks of a bundle with the options of the command line, completed by the profile, if there is one for
/// this bundle and machine.
///
/// Where the device is `auto` and that of the profile does not work, the profile is ignored.
///
/// **Errors**: see [`Ensemble::open`].
pub fn open(
    bundle: &Bundle,
    compute: &ComputeOptions,
    batch: Option<NonZeroUsize>,
) -> Result<Opened, EngineError> {
    let plain = compute.engine_options(batch);
    let mut unusable = None;
    if let Some((path, profile)) = find(bundle, compute) {
        let options = merge(&profile.settings, compute, batch);
        match Ensemble::open(bundle, &options) {
            Ok(ensemble) => {
                return Ok(Opened {
                    ensemble,
                    options,
                    profile: Some(path),
                    unusable,
                });
            }
            Err(
                error @ EngineError::Member {
                    source: PredictorError::Device(_),
                    ..
                },
            ) if compute.device == Device::Auto => unusable = Some(error),
            Err(error) => return Err(error),
        }
    }
    Ok(Opened {
        ensemble: Ensemble::open(bundle, &plain)?,
        options: plain,
        profile: None,
        unusable,
    })
}

fn find(bundle: &Bundle, compute: &ComputeOptions) -> Option<(PathBuf, Profile)> {
    // Without any profile, the machine is not queried.
    if compute.no_profile || !folder()?.is_dir() {
        return None;
    }
    // A library that cannot be loaded is reported where it is needed.
    let runtime = library::runtime(compute.library.ort_lib.as_deref()).ok()?;
    let found = Profile::find(&ProfileKey::new(bundle, runtime.version(), compute.device))?;
    // Its settings apply to its provider only.
    let provider = found.1.settings.provider;
    (compute.provider.unwrap_or(provider) == provider).then_some(found)
}

/// The options of the command line, completed by the profile.
fn merge(
    profile: &ExecutionSettings,
    compute: &ComputeOptions,
    batch: Option<NonZeroUsize>,
) -> EngineOptions {
    EngineOptions {
        device: profile.device,
        provider: profile.provider,
        precision: compute.precision.unwrap_or(profile.precision),
        search: profile.search,
        threads: compute.threads.or(profile.threads),
        ..compute.engine_options(batch.or(profile.batch))
    }
}

#[cfg(test)]
mod tests {
    use vesal_engine::InferencePrecision;

    use super::super::tests::profile;
    use super::*;

    fn compute() -> ComputeOptions {
        ComputeOptions {
            max_vram: None,
            device: Device::Auto,
            provider: None,
            precision: None,
            threads: None,
            convolutions: None,
            no_profile: false,
            library: crate::options::LibraryOptions { ort_lib: None },
        }
    }

    #[test]
    fn what_the_command_line_says_counts_before_the_profile() {
        let settings = profile().settings;
        let options = merge(&settings, &compute(), None);
        assert_eq!(options, settings.engine_options(None));
        let mut compute = compute();
        compute.precision = Some(InferencePrecision::Float32);
        compute.threads = NonZeroUsize::new(3);
        let options = merge(&settings, &compute, NonZeroUsize::new(1));
        assert_eq!(
            (options.precision, options.threads, options.batch),
            (
                InferencePrecision::Float32,
                NonZeroUsize::new(3),
                NonZeroUsize::new(1)
            )
        );
        assert_eq!(
            (options.device, options.search),
            (settings.device, settings.search)
        );
    }
}
