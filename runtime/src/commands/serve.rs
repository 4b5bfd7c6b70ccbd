//! `vesal serve`: a DICOM node.

use std::env;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Parser;
use vesal_bundle::Bundle;
use vesal_cli::host_memory::HostMemory;
use vesal_cli::{Exit, Failure, Text, stderr, stdout};
use vesal_engine::check_networks;
use vesal_node::config::{EXAMPLE, Grouping, Service};
use vesal_node::queue::{JobQueue, OpenError};
use vesal_node::stop::Stop;
use vesal_node::{ChildProcess, Config, Node, PredictionRequest, StartError, check_tls, log, send};

use crate::cli::{Cli, Command, PredictArguments, ServeArguments};
use crate::commands::predict::prepare;
use crate::{failure, interrupt, profile, trust};

/// A service whose jobs could never be predicted.
#[derive(Debug, thiserror::Error)]
#[error(
    "service {service} makes a job of each series, but its bundle has {channels} channels: {names}"
)]
struct SeriesAlone {
    service: String,
    channels: usize,
    names: String,
}

/// Runs a node until it is told to stop, or checks its settings.
pub fn run(arguments: &ServeArguments) -> Result<Exit, Failure> {
    let Some(path) = &arguments.config else {
        stdout::print_own(EXAMPLE)?;
        return Ok(Exit::Success);
    };
    let mut config = Config::read(path).map_err(|error| {
        let hint = error.hint().map(str::to_owned);
        Failure::new(Exit::Usage, error).hint(hint)
    })?;
    log::install(log_settings(&config)?, Box::new(io::stderr()));
    let services = config.services.iter().map(check_service);
    let services = services.collect::<Result<Vec<_>, _>>()?;
    for (service, checked) in config.services.iter_mut().zip(&services) {
        // Whatever lies there later, jobs are predicted with this one.
        service.bundle_sha256 = Some(checked.bundle.digest().to_owned());
    }
    config.limits.run_ram = config.limits.run_ram.or_else(|| share(config.workers));
    if arguments.check {
        return check(&config, &services, path);
    }
    interrupt::listen()?;
    let program = env::current_exe().map_err(|error| {
        Failure::new(Exit::Bug, error).attempting("cannot find the program's own file")
    })?;
    let node = Node::start(config, Arc::new(ChildProcess { program })).map_err(start)?;
    while !interrupt::requested() {
        thread::sleep(Duration::from_millis(100));
    }
    node.stop();
    Ok(Exit::Success)
}

/// What is logged and how, by the environment and the settings.
fn log_settings(config: &Config) -> Result<log::LogSettings, Failure> {
    let mut settings = config.log;
    if let Some(word) = env::var_os("VESAL_LOG") {
        settings.level = word.to_string_lossy().parse().map_err(|error| {
            Failure::new(Exit::Usage, error)
                .attempting("cannot use the environment variable VESAL_LOG")
        })?;
    }
    Ok(settings)
}

/// Memory of each of so many predictions at once, in bytes: four fifths of the machine's are theirs.
fn share(workers: usize) -> Option<u64> {
    let memory = HostMemory::read()?;
    Some(memory.total / 5 * 4 / workers as u64)
}

/// What a service is predicted with.
struct Checked {
    bundle: Bundle,
    arguments: PredictArguments,
}

/// Opens the bundle of a service as its jobs will, and checks what `vesal predict` is going to be told.
fn check_service(service: &Service) -> Result<Checked, Failure> {
    let attempt = format!(
        "service {} cannot use its bundle `{}`",
        service.ae_title,
        service.bundle.display()
    );
    let arguments = arguments(service)?;
    let bundle = trust::open(&service.bundle, &arguments.trust)
        .map_err(|failure| failure.attempting(attempt.clone()))?;
    check_networks(&bundle).map_err(|error| failure::engine(error).attempting(attempt))?;
    if let Some(note) = trust::note(&bundle, &arguments.trust) {
        stderr::note(note);
    }
    let channels = &bundle.plan().channels;
    if channels.len() > 1 && service.unit == Grouping::Series {
        let names: Vec<_> = channels.iter().map(|c| c.name.as_str()).collect();
        let error = SeriesAlone {
            service: service.ae_title.clone(),
            channels: channels.len(),
            names: names.join(", "),
        };
        let hint = "set its `unit` to \"study\"".to_owned();
        return Err(Failure::new(Exit::Usage, error).hint(hint));
    }
    prepare::plan(&arguments, &bundle)
        .map_err(|failure| failure.attempting(not_predicted(service)))?;
    Ok(Checked { bundle, arguments })
}

fn not_predicted(service: &Service) -> String {
    format!(
        "jobs of service {} could not be predicted",
        service.ae_title
    )
}

/// What `vesal predict` is told about jobs of a service, as it understands it.
fn arguments(service: &Service) -> Result<PredictArguments, Failure> {
    let request = PredictionRequest {
        service,
        input: Path::new("input"),
        output: Path::new("output"),
        limit: Duration::ZERO,
        mark_incomplete: false,
        uid_key: Path::new("key"),
        run_ram: Some(1),
    };
    let told = std::iter::once("vesal".into()).chain(ChildProcess::arguments(&request));
    match Cli::try_parse_from(told) {
        Ok(Cli {
            command: Command::Predict(arguments),
        }) => Ok(arguments),
        Ok(_) => Err(Failure::new(Exit::Usage, Options).attempting(not_predicted(service))),
        Err(error) => {
            let first = error.to_string();
            let first = first.lines().next().unwrap_or_default();
            let reason = first.trim_start_matches("error: ").to_owned();
            let hint = "see `options`, `series` and `dicom_rules` of the service".to_owned();
            Err(Failure::new(Exit::Usage, reason)
                .attempting(not_predicted(service))
                .hint(hint))
        }
    }
}

/// Options that are no options of `vesal predict`.
#[derive(Debug, thiserror::Error)]
#[error("its `options` are no options of `vesal predict`")]
struct Options;

/// Says what of the settings works here.
fn check(config: &Config, services: &[Checked], path: &Path) -> Result<Exit, Failure> {
    for (service, Checked { bundle, arguments }) in config.services.iter().zip(services) {
        let batch = arguments.limits.batch;
        let opened = profile::open(bundle, &arguments.compute, batch).map_err(|error| {
            let attempt = format!(
                "the networks of service {} cannot be loaded",
                service.ae_title
            );
            failure::engine(error).attempting(attempt)
        })?;
        tell(format!(
            "service {}: runs on `{}`",
            service.ae_title,
            opened.ensemble.device()
        ))?;
    }
    check_tls(config).map_err(|error| start(error.into()))?;
    match JobQueue::look(config) {
        Ok(jobs) => {
            let storage = config.storage.display();
            tell(format!("storage `{storage}`: {jobs} jobs"))?;
        }
        Err(error @ OpenError::InUse { .. }) => stderr::note(error.to_string()),
        Err(error) => return Err(start(error.into())),
    }
    let stop = Arc::<Stop>::default();
    for (name, destination) in &config.destinations {
        match send::echo(destination, &config.limits, &stop) {
            Ok(()) => tell(format!("destination `{name}`: is there"))?,
            Err(error) => stderr::warning(format!("destination `{name}`: {error}")),
        }
    }
    for source in &config.sources {
        let name = &source.name;
        match send::echo(&source.peer, &config.limits, &stop) {
            Ok(()) => tell(format!("source `{name}`: is there"))?,
            Err(error) => stderr::warning(format!("source `{name}`: {error}")),
        }
    }
    tell(format!("the settings `{}` can be used", path.display()))?;
    Ok(Exit::Success)
}

fn tell(line: String) -> Result<(), Failure> {
    let mut text = Text::new();
    text.line(line);
    stdout::print(&text)
}

fn start(error: StartError) -> Failure {
    let exit = match &error {
        StartError::Queue(_) => Exit::Output,
        StartError::Tls(_) => Exit::Usage,
        StartError::Listen { .. } | StartError::Thread(_) => Exit::Device,
    };
    let hint = error.hint().map(str::to_owned);
    Failure::new(exit, error).hint(hint)
}
