//! Why a checkpoint cannot be read.

use thiserror::Error;

use crate::archive::ArchiveError;
use crate::pickle::PickleError;
use crate::state_dict::MAX_NAME_CHARS;
use crate::stored::SafetensorsError;

/// Most values and bytes of text of a configuration: shared parts count as often as they are referred to.
pub(crate) const MAX_CONFIG_SIZE: usize = 1 << 20;
/// Deepest nesting of a configuration.
pub(crate) const MAX_CONFIG_DEPTH: usize = 32;
/// Most elements of all tensors, as a multiple of those of their storages. Several names of one tensor are usual, of which
/// every one becomes a copy.
pub(crate) const MAX_VIEWS: usize = 4;

/// Why a checkpoint cannot be read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Pickle(#[from] PickleError),
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
    #[error(
        "the checkpoint has no state dict, expected a dictionary of tensors under one key or at the top, found {}",
        listed(keys)
    )]
    NoStateDict {
        /// The first keys at the top.
        keys: Vec<String>,
    },
    /// Several state dicts, of which none has an agreed name.
    #[error(
        "the checkpoint has dictionaries of tensors under {}, expected one, or one under `state_dict` or `model`",
        listed(keys)
    )]
    StateDicts {
        /// The first of their keys.
        keys: Vec<String>,
    },
    /// State dicts of different networks, of which none is more likely meant.
    #[error(
        "the checkpoint has tensors of different networks under {}, expected one of them, or the same network twice",
        listed(keys)
    )]
    OtherNetworks { keys: Vec<String> },
    #[error(
        "a tensor's name, `{}...`, has more than {MAX_NAME_CHARS} characters, which no network's has",
        start.escape_debug()
    )]
    LongName { start: String },
    /// A state dict with an entry that is not a tensor.
    #[error("the state dict has `{name}`, which is not a tensor")]
    NotATensor { name: String },
    /// A tensor that reaches outside its storage, or is larger than it.
    #[error("tensor `{tensor}` does not lie inside its storage of {elements} elements")]
    Bounds {
        tensor: String,
        /// Elements of the storage.
        elements: usize,
    },
    /// A storage whose bytes are not those of its elements.
    #[error(
        "the storage of tensor `{tensor}` has {found} bytes, the checkpoint states {elements} elements of {bytes} bytes"
    )]
    StorageSize {
        tensor: String,
        found: usize,
        /// Elements that the pickle states.
        elements: usize,
        /// Bytes of an element.
        bytes: usize,
    },
    /// A storage that tensors state with different types or sizes.
    #[error("tensor `{tensor}` states another type or size of its storage than a tensor before it")]
    StorageType { tensor: String },
    /// Many tensors of the same elements.
    #[error(
        "the tensors have together more than {MAX_VIEWS} times the {elements} elements of their storages, which they share"
    )]
    Shared {
        /// Elements of all storages, each counted once.
        elements: usize,
    },
    /// A tensor of integers and the like.
    #[error("tensor `{tensor}` has no floats")]
    Type { tensor: String },
    /// A configuration larger than the limit.
    #[error(
        "the checkpoint's configuration has more than {MAX_CONFIG_SIZE} values and bytes of text, or {MAX_CONFIG_DEPTH} levels"
    )]
    ConfigSize,
}

impl CheckpointError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Archive(error) => error.hint(),
            Self::Pickle(PickleError::Forbidden { .. }) => Some(
                "a whole module or foreign objects were saved: save `{\"state_dict\": model.state_dict(), \"config\": {\"network\": {...}}}` with numbers, texts, lists and dictionaries only",
            ),
            Self::NoStateDict { .. } | Self::StateDicts { .. } => Some(
                "save the weights under `state_dict`: `torch.save({\"state_dict\": model.state_dict()}, FILE)`",
            ),
            Self::OtherNetworks { .. } => Some(
                "save the weights that are meant alone: `torch.save({\"state_dict\": model.state_dict()}, FILE)`",
            ),
            Self::Shared { .. } => Some(
                "save a copy of each tensor: `{name: tensor.clone() for name, tensor in model.state_dict().items()}`",
            ),
            _ => None,
        }
    }
}

fn listed(keys: &[String]) -> String {
    if keys.is_empty() {
        return "none".into();
    }
    let quoted = keys.iter().map(|key| format!("`{}`", key.escape_debug()));
    quoted.collect::<Vec<_>>().join(", ")
}
