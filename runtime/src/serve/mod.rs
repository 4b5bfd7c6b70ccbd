//! `vesal serve`: a DICOM node.

pub mod error;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use vesal_bundle::Bundle;
use vesal_cli::host_memory::HostMemory;
use vesal_engine::check_networks;
use vesal_node::config::{Grouping, Service};
use vesal_node::queue::{JobQueue, OpenError};
use vesal_node::stop::Stop;
use vesal_node::{Config, Node, Predict, PredictionRequest, StartError, check_tls, log, send};

use self::error::ServeError;
use crate::error::Error;
use crate::observe::Observer;
use crate::predict::{PredictOptions, prepare};
use crate::{profile, trust};

/// Options of a node.
#[derive(Debug, Clone, Args)]
pub struct ServeOptions {
    /// File of settings (TOML)
    #[arg(
        long,
        value_name = "FILE",
        env = "VESAL_NODE",
        hide_env_values = true,
        required_unless_present = "example"
    )]
    pub config: Option<PathBuf>,
    /// Try bundles, folders, TLS files, destinations and sources, and exit
    #[arg(long)]
    pub check: bool,
    /// Print every setting with its meaning and default, and exit
    #[arg(long, conflicts_with_all = ["config", "check"])]
    pub example: bool,
}

/// Reads the settings of a node.
///
/// **Errors**: [`ServeError::Config`].
pub fn read_config(path: &Path) -> Result<Config, Error> {
    Ok(Config::read(path).map_err(ServeError::from)?)
}

/// Settings of the log, with the level in the environment variable `VESAL_LOG`, if it is set.
///
/// **Errors**: [`ServeError::LogLevel`].
pub fn log_settings(config: &Config, level: Option<&str>) -> Result<log::LogSettings, Error> {
    let mut settings = config.log;
    if let Some(level) = level {
        settings.level = level.parse().map_err(|error| {
            Error::from(ServeError::LogLevel(error))
                .attempting("cannot use the environment variable VESAL_LOG")
        })?;
    }
    Ok(settings)
}

/// The options of `vesal predict` as parsed from a node's arguments.
pub type Understand<'a> = dyn Fn(&PredictionRequest<'_>) -> Result<PredictOptions, ServeError> + 'a;

/// A node with checked services.
pub struct Prepared {
    config: Config,
    services: Vec<PreparedService>,
}

/// The options and the bundle of a service.
struct PreparedService {
    bundle: Bundle,
    options: PredictOptions,
}

impl Prepared {
    /// Opens the bundles of all services as their jobs will, and checks the arguments of `vesal predict`.
    ///
    /// **Errors**: of the first service whose jobs could not be predicted.
    pub fn new(
        mut config: Config,
        understand: &Understand<'_>,
        observer: &dyn Observer,
    ) -> Result<Self, Error> {
        let services = config.services.iter();
        let services: Vec<_> = services
            .map(|service| prepare_service(service, understand, observer))
            .collect::<Result<_, _>>()?;
        for (service, prepared) in config.services.iter_mut().zip(&services) {
            // Jobs are predicted with this bundle alone, even if the folder changes.
            service.bundle_sha256 = Some(prepared.bundle.digest().to_owned());
        }
        config.limits.run_ram = config.limits.run_ram.or_else(|| share(config.workers));
        Ok(Self { config, services })
    }

    /// Installs the handler.
    ///
    /// **Errors**: [`ServeError::Start`].
    pub fn start(self, predict: Arc<dyn Predict>) -> Result<Node, Error> {
        Ok(Node::start(self.config, predict).map_err(ServeError::from)?)
    }

    /// Tests networks, TLS files, the storage, destinations and sources. Destinations and sources that do not answer
    /// are warnings.
    ///
    /// **Errors**: networks cannot be loaded, or the node could not start.
    pub fn check(&self, observer: &dyn Observer) -> Result<(), Error> {
        let config = &self.config;
        for (service, PreparedService { bundle, options }) in
            config.services.iter().zip(&self.services)
        {
            let title = &service.ae_title;
            let opened = profile::open(bundle, &options.compute, options.limits.batch);
            let opened = opened.map_err(|error| {
                Error::Engine(error)
                    .attempting(format!("the networks of service {title} cannot be loaded"))
            })?;
            let device = opened.ensemble.device();
            observer.works(&format!("service {title}: runs on `{device}`"));
        }
        check_tls(config).map_err(|error| ServeError::Start(error.into()))?;
        match JobQueue::look(config) {
            Ok(jobs) => {
                let storage = config.storage.display();
                observer.works(&format!("storage `{storage}`: {jobs} jobs"));
            }
            Err(error @ OpenError::InUse { .. }) => observer.note(&error.to_string()),
            Err(error) => return Err(ServeError::Start(StartError::from(error)).into()),
        }
        let stop = Arc::<Stop>::default();
        for (name, destination) in &config.destinations {
            match send::echo(destination, &config.limits, &stop) {
                Ok(()) => observer.works(&format!("destination `{name}`: is there")),
                Err(error) => observer.warning(&format!("destination `{name}`: {error}")),
            }
        }
        for source in &config.sources {
            let name = &source.name;
            match send::echo(&source.peer, &config.limits, &stop) {
                Ok(()) => observer.works(&format!("source `{name}`: is there")),
                Err(error) => observer.warning(&format!("source `{name}`: {error}")),
            }
        }
        Ok(())
    }
}

/// Memory in bytes of each of this many concurrent predictions, which share four fifths of the machine's.
fn share(workers: usize) -> Option<u64> {
    let memory = HostMemory::read()?;
    Some(memory.total / 5 * 4 / workers as u64)
}

fn prepare_service(
    service: &Service,
    understand: &Understand<'_>,
    observer: &dyn Observer,
) -> Result<PreparedService, Error> {
    let title = &service.ae_title;
    let attempt = format!(
        "service {title} cannot use its bundle `{}`",
        service.bundle.display()
    );
    let not_predicted =
        |error: Error| error.attempting(format!("jobs of service {title} could not be predicted"));
    let request = PredictionRequest {
        service,
        input: Path::new("input"),
        output: Path::new("output"),
        limit: Duration::ZERO,
        mark_incomplete: false,
        uid_key: Path::new("key"),
        run_ram: Some(1),
    };
    let options = understand(&request).map_err(|error| not_predicted(error.into()))?;
    let bundle = trust::open(&service.bundle, &options.trust)
        .map_err(|error| error.attempting(attempt.clone()))?;
    check_networks(&bundle).map_err(|error| Error::Engine(error).attempting(attempt))?;
    if let Some(note) = trust::note(&bundle, &options.trust) {
        observer.note(&note);
    }
    let channels = &bundle.plan().channels;
    if channels.len() > 1 && service.unit == Grouping::Series {
        let names: Vec<_> = channels.iter().map(|c| c.name.as_str()).collect();
        let alone = ServeError::SeriesAlone {
            service: title.clone(),
            channels: channels.len(),
            names: names.join(", "),
        };
        return Err(alone.into());
    }
    prepare::plan(&options, &bundle).map_err(not_predicted)?;
    Ok(PreparedService { bundle, options })
}
