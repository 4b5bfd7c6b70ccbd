//! Runs the networks of a bundle through ONNX Runtime; the only crate that uses it.
//!
//! [`library`] finds and loads ONNX Runtime, [`install`] fetches it, [`availability`] lists the devices, [`plugin`]
//! adds other providers, [`OnnxPredictor`] is one network, [`Ensemble`] a bundle ready to segment volumes, [`memory`]
//! bounds the memory, and [`verify`](mod@verify) replays the probe of a bundle.

pub mod availability;
#[allow(unsafe_code, reason = "instructions of processors")]
mod cpu;
#[allow(unsafe_code, reason = "calling the driver of GPUs")]
mod cuda;
pub mod device;
pub mod ensemble;
pub mod error;
mod inferer;
pub mod install;
pub mod library;
pub mod memory;
mod network_memory;
mod networks;
mod optimized_model;
pub mod options;
pub mod plugin;
pub mod postprocess;
pub mod predictor;
pub mod prepared;
mod program;
mod release;
pub mod segment;
pub mod segmentation;
mod session;
pub mod trial;
pub mod verify;

pub use cuda::CudaDriverError;
pub use device::{Device, DeviceError};
pub use ensemble::Ensemble;
pub use error::{EngineError, SinkError};
pub use memory::StageMemory;
pub use networks::check_networks;
pub use options::{
    ConvolutionSearch, Convolutions, EngineOptions, InferencePrecision, ParseOptionError,
};
pub use plugin::Provider;
pub use postprocess::ProbabilitySink;
pub use predictor::{OnnxPredictor, PredictorError};
pub use prepared::PreparedCase;
pub use program::find_program;
pub use segment::Stage;
pub use segmentation::{PendingSegmentation, Segmentation, StageTimes};
pub use trial::{Trial, trial};
pub use verify::{VerifyReport, verify};
