//! Why a bundle cannot be run.

use ndarray::ShapeError;
use thiserror::Error;
use vesal_bundle::BundleError;
use vesal_volume::postprocess::{InputGridError, LabelingError, MeanError};
use vesal_volume::preprocess::PreprocessError;
use vesal_volume::window::{StitchError, WindowError};

use crate::library::LibraryError;
use crate::predictor::PredictorError;

/// Why probabilities cannot be stored.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Why a bundle cannot be run, or a case not be segmented.
#[derive(Debug, Error)]
pub enum EngineError {
    /// ONNX Runtime cannot be used.
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("member {member} of the ensemble is unusable")]
    Member {
        /// The member, from 0.
        member: usize,
        source: PredictorError,
    },
    #[error("the ensemble has no member, expected at least 1")]
    NoMembers,
    /// A case that was preprocessed for other plans.
    #[error("the case is prepared for {found} deploy plans, the bundle has {expected}")]
    Groups { found: usize, expected: usize },
    /// The case has other channels than the networks take.
    #[error("the case has {found} channels, the bundle expects {} ({})", expected.len(), expected.join(", "))]
    Channels {
        found: usize,
        /// Names of the expected ones.
        expected: Vec<String>,
    },
    /// The case cannot be preprocessed, or its prediction not be inverted.
    #[error("the case does not fit the deploy plan")]
    Preprocess(#[from] PreprocessError),
    #[error("member {member} of the ensemble fails")]
    Predict {
        /// The member, from 0.
        member: usize,
        source: StitchError<PredictorError>,
    },
    /// Windows cannot be placed on the case.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// Probabilities cannot be stored.
    #[error("cannot store the probabilities")]
    Probabilities(#[source] SinkError),
    #[error(transparent)]
    Mean(#[from] MeanError),
    /// A block of probabilities at an invalid position.
    #[error(transparent)]
    Block(InputGridError),
    /// Probabilities without labels.
    #[error(transparent)]
    Labeling(#[from] LabelingError),
    /// Arrays have unexpected shapes.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    #[error("stopped on request")]
    Stopped,
}

impl EngineError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Library(error) => error.hint(),
            Self::Bundle(error) => error.hint(),
            Self::Member { source, .. }
            | Self::Predict {
                source: StitchError::Predict { source, .. },
                ..
            } => source.hint(),
            Self::Channels { .. } => {
                Some("`vesal inspect BUNDLE` lists the channels and their order")
            }
            _ => None,
        }
    }
}

impl From<InputGridError> for EngineError {
    fn from(error: InputGridError) -> Self {
        match error {
            InputGridError::Combine(error) => error.into(),
            InputGridError::Label(error) => error.into(),
            error @ InputGridError::Block { .. } => Self::Block(error),
        }
    }
}
