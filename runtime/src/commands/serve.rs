//! `vesal serve`: a DICOM node.

use std::env;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use vesal_bundle::Bundle;
use vesal_cli::{Exit, Failure, stdout};
use vesal_node::config::{EXAMPLE, Grouping, Service};
use vesal_node::queue::{OpenError, Queue};
use vesal_node::stop::Stop;
use vesal_node::{ChildProcess, Config, Node, StartError, send};

use crate::cli::ServeArguments;
use crate::{failure, interrupt};

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
        stdout::print(EXAMPLE)?;
        return Ok(Exit::Success);
    };
    let config = Config::read(path).map_err(|error| {
        let hint = error.hint().map(str::to_owned);
        Failure::new(Exit::Usage, error).hint(hint)
    })?;
    for service in &config.services {
        check_service(service)?;
    }
    if arguments.check {
        return check(&config, path);
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

/// Opens the bundle of a service.
fn check_service(service: &Service) -> Result<(), Failure> {
    let bundle =
        Bundle::open(&service.bundle).map_err(|error| failure::bundle(&service.bundle, error))?;
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
    Ok(())
}

/// Says what of the settings works here.
fn check(config: &Config, path: &Path) -> Result<Exit, Failure> {
    match Queue::open(config) {
        Ok(queue) => {
            let jobs = queue.jobs(usize::MAX).len();
            let storage = queue.storage().display();
            stdout::print(&format!("storage `{storage}`: {jobs} jobs\n"))?;
        }
        Err(error @ OpenError::InUse { .. }) => eprintln!("note: {error}"),
        Err(error) => return Err(start(error.into())),
    }
    let stop = Arc::<Stop>::default();
    for (name, destination) in &config.destinations {
        match send::echo(destination, &config.limits, &stop) {
            Ok(()) => stdout::print(&format!("destination `{name}`: is there\n"))?,
            Err(error) => eprintln!("warning: destination `{name}`: {error}"),
        }
    }
    stdout::print(&format!("the settings `{}` can be used\n", path.display()))?;
    Ok(Exit::Success)
}

fn start(error: StartError) -> Failure {
    let exit = match &error {
        StartError::Queue(_) => Exit::Output,
        StartError::Listen { .. } | StartError::Thread(_) => Exit::Device,
    };
    let hint = error.hint().map(str::to_owned);
    Failure::new(exit, error).hint(hint)
}
