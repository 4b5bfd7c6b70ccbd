//! Why a node does not start.

use vesal_cli::Exit;
use vesal_node::log::NoLevel;
use vesal_node::{NodeConfigError, StartError};

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Config(#[from] NodeConfigError),
    #[error(transparent)]
    LogLevel(#[from] NoLevel),
    /// A service whose jobs cannot be predicted.
    #[error(
        "service {service} makes a job of each series, but its bundle has {channels} channels: {names}"
    )]
    SeriesAlone {
        service: String,
        channels: usize,
        names: String,
    },
    /// Options of a service that `vesal predict` does not accept, with its message.
    #[error("{reason}")]
    Options { reason: String },
    #[error(transparent)]
    Start(#[from] StartError),
}

impl ServeError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Config(error) => error.hint(),
            Self::LogLevel(_) => None,
            Self::SeriesAlone { .. } => Some("set its `unit` to \"study\""),
            Self::Options { .. } => {
                Some("see `options`, `series` and `dicom_rules` of the service")
            }
            Self::Start(error) => error.hint(),
        };
        hint.map(str::to_owned)
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_)
            | Self::LogLevel(_)
            | Self::SeriesAlone { .. }
            | Self::Options { .. } => Exit::Usage,
            Self::Start(StartError::Queue(_)) => Exit::Output,
            Self::Start(StartError::Tls(_)) => Exit::Usage,
            Self::Start(StartError::Listen { .. } | StartError::Thread(_)) => Exit::Device,
        }
    }
}
