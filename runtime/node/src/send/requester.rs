//! C-ECHO and C-STORE as requester.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use vesal_io::dicom::{DicomHeaderError, Instance};

use crate::config::{NodeLimits, Peer};
use crate::network::command::{CommandSet, VERIFICATION, field, status};
use crate::network::error::ConnectionError;
use crate::network::pdu::PDataValue;
use crate::network::requester::{Association, ClassAndSyntax, PeerError};
use crate::stop::Stop;

/// Why results were not accepted. Messages contain no UID of an instance.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The peer is not reachable, or does not accept this kind of object.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The peer answered with a status that is neither success nor warning.
    #[error("it answered with status {status:04X}")]
    Status { status: u16 },
    /// The peer has another object with the UID of a result, and keeps that.
    #[error("it has another object under the UID of a result (status 0111)")]
    Duplicate,
    /// A result cannot be read.
    #[error("a result cannot be read: {0}")]
    Result(DicomHeaderError),
    /// A result cannot be read.
    #[error("a result cannot be read: {0}")]
    File(io::Error),
    /// The state of sending cannot be recorded.
    #[error("the state of sending cannot be recorded: {0}")]
    Note(io::Error),
}

impl From<ConnectionError> for SendError {
    fn from(error: ConnectionError) -> Self {
        Self::Peer(error.into())
    }
}

impl SendError {
    /// Whether the node is stopping.
    pub fn is_stop(&self) -> bool {
        matches!(
            self,
            Self::Peer(PeerError::Connection(ConnectionError::Stopped))
        )
    }
}

/// Verifies a destination by C-ECHO.
///
/// **Errors**: [`SendError`].
pub fn echo(destination: &Peer, limits: &NodeLimits, stop: &Arc<Stop>) -> Result<(), SendError> {
    let kinds = [(VERIFICATION.to_owned(), "1.2.840.10008.1.2".to_owned())];
    let mut association = Association::open(destination, limits, stop, &kinds)?;
    let asked = association.context(&kinds[0]).and_then(|context| {
        let command = CommandSet {
            field: field::ECHO,
            message: 1,
            class: VERIFICATION.to_owned(),
            ..CommandSet::default()
        };
        association.send(context, true, &command.encode())?;
        Ok(association.answer(context, &command)?)
    });
    association.close(asked.is_ok());
    match asked? {
        status::SUCCESS => Ok(()),
        status => Err(SendError::Status { status }),
    }
}

/// Observes each file that is sent, by its index.
pub trait Sends {
    /// Called before a file is sent.
    ///
    /// **Errors**: the file must not be sent.
    fn begins(&mut self, index: usize, instance: &Instance) -> Result<(), SendError>;

    /// Called with the status of the answer.
    ///
    /// **Errors**: it does not count as accepted.
    fn answered(&mut self, index: usize, instance: &Instance, status: u16)
    -> Result<(), SendError>;
}

/// Sends files in one association.
///
/// A file that is refused does not keep the others from being sent.
///
/// **Errors**: [`SendError`], the first.
pub fn store(
    destination: &Peer,
    limits: &NodeLimits,
    stop: &Arc<Stop>,
    files: &[&Path],
    sends: &mut dyn Sends,
) -> Result<(), SendError> {
    let instances: Vec<Instance> = files
        .iter()
        .map(|file| Instance::read(file).map_err(SendError::Result))
        .collect::<Result<_, _>>()?;
    let mut kinds: Vec<ClassAndSyntax> = instances.iter().map(kind_of).collect();
    kinds.sort();
    kinds.dedup();
    let mut association = Association::open(destination, limits, stop, &kinds)?;
    let mut first = Ok(());
    for (index, (file, instance)) in files.iter().zip(&instances).enumerate() {
        let sent = store_one(&mut association, index, file, instance, sends);
        match sent.and_then(|status| sends.answered(index, instance, status)) {
            Ok(()) => {}
            Err(error) => {
                let goes_on = matches!(
                    error,
                    SendError::Peer(PeerError::NotAccepted { .. })
                        | SendError::Status { .. }
                        | SendError::Duplicate
                );
                if first.is_ok() {
                    first = Err(error);
                }
                if !goes_on {
                    association.close(false);
                    return first;
                }
            }
        }
    }
    association.close(true);
    first
}

fn kind_of(instance: &Instance) -> ClassAndSyntax {
    (instance.class.clone(), instance.syntax.clone())
}

/// Sends a file; returns the status of the answer.
fn store_one(
    association: &mut Association<'_>,
    index: usize,
    file: &Path,
    instance: &Instance,
    sends: &mut dyn Sends,
) -> Result<u16, SendError> {
    let context = association.context(&kind_of(instance))?;
    let mut file = File::open(file).map_err(SendError::File)?;
    let mut left = file
        .metadata()
        .map_err(SendError::File)?
        .len()
        .saturating_sub(instance.data_set);
    file.seek(SeekFrom::Start(instance.data_set))
        .map_err(SendError::File)?;
    let command = CommandSet {
        field: field::STORE,
        message: (index % 0xffff) as u16 + 1,
        class: instance.class.clone(),
        instance: instance.instance.clone(),
        has_data: true,
        status: None,
    };
    sends.begins(index, instance)?;
    association.send(context, true, &command.encode())?;
    let value_bytes = association.value_bytes();
    let mut buffer = vec![0; value_bytes];
    while left > 0 {
        let count = (value_bytes as u64).min(left) as usize;
        file.read_exact(&mut buffer[..count])
            .map_err(SendError::File)?;
        left -= count as u64;
        association.send_value(PDataValue {
            context,
            command: false,
            last: left == 0,
            bytes: &buffer[..count],
        })?;
    }
    Ok(association.answer(context, &command)?)
}
