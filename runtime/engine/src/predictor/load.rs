//! Loading a network: rewriting it for the device, and making a session.

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;

use ort::session::Session;
use vesal_onnx::OnnxModel;

use super::PredictorError;
use crate::cpu::Processor;
use crate::cuda::{Accelerator, KernelElement};
use crate::device::{self, Device, DeviceError};
use crate::library::Runtime;
use crate::optimized_model::{Kernels, OptimizedModel};
use crate::options::{EngineOptions, InferencePrecision};
use crate::plugin::Provider;
use crate::session::{self, SessionError};

/// How a network is loaded.
pub(super) struct Load<'a> {
    pub runtime: &'static Runtime,
    pub network: &'a OnnxModel,
    /// File that it was loaded from.
    pub file: &'a Arc<[u8]>,
    pub device: Device,
    pub options: &'a EngineOptions,
    pub batch: NonZeroUsize,
}

/// A session, its accelerator on a GPU, the rewritten network, and a description of how it runs.
pub(super) type Loaded = (Session, Option<Accelerator>, OptimizedModel, String);

impl Load<'_> {
    /// Makes a session, with this program's kernels where they can be used.
    pub fn session(&self) -> Result<Loaded, PredictorError> {
        let provider = match self.options.provider {
            Provider::Native => device::provider(self.device),
            other => other.name(),
        };
        let text = |rest: &str| format!("{provider}, {}{rest}", self.options.precision);
        let index = match self.device {
            Device::Cuda(index) if self.options.provider == Provider::Native => index,
            Device::Cpu | Device::Auto if self.options.provider == Provider::Native => {
                return self.on_processor(text);
            }
            _ => {
                let (session, model) = self.build(None, Kernels::None)?;
                return Ok((session, None, model, text("")));
            }
        };
        let without = match Accelerator::open(index) {
            Ok(accelerator) => match self.build(Some(&accelerator), Kernels::Gpu) {
                Ok((session, model)) => {
                    let rest = format!(
                        ", {} fused normalizations, stitched on the GPU",
                        model.fused
                    );
                    return Ok((session, Some(accelerator), model, text(&rest)));
                }
                Err(error @ PredictorError::Precision { .. }) => return Err(error),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        let (session, model) = self.build(None, Kernels::None)?;
        let rest = format!(", stitched on the processor: {without}");
        Ok((session, None, model, text(&rest)))
    }

    /// Makes a session on the processor, with own convolutions where they can be used.
    fn on_processor(&self, text: impl Fn(&str) -> String) -> Result<Loaded, PredictorError> {
        let mut rest = String::new();
        if let Some(processor) = Processor::here(self.options) {
            match self.build(None, Kernels::Cpu(processor)) {
                Ok((session, model)) => {
                    let own = model.own.map(|own| {
                        let (count, instructions) = (own.convolutions, processor.instructions);
                        let attentions = match own.attentions {
                            0 => String::new(),
                            count => format!(" and {count} attentions"),
                        };
                        format!(", {count} own convolutions{attentions} ({instructions})")
                    });
                    return Ok((session, None, model, text(&own.unwrap_or_default())));
                }
                Err(error @ PredictorError::Refused { .. }) => {
                    let source = error.source();
                    let why = source.map_or_else(|| error.to_string(), ToString::to_string);
                    rest = format!(", no own convolutions: {why}");
                }
                Err(error) => return Err(error),
            }
        }
        let (session, model) = self.build(None, Kernels::None)?;
        Ok((session, None, model, text(&rest)))
    }

    fn build(
        &self,
        accelerator: Option<&Accelerator>,
        kernels: Kernels,
    ) -> Result<(Session, OptimizedModel), PredictorError> {
        let Self {
            runtime,
            device,
            options,
            ..
        } = *self;
        let precision = options.precision;
        let model = OptimizedModel::new(
            self.network,
            self.file,
            device,
            options,
            self.batch,
            kernels,
        )
        .map_err(|source| PredictorError::Precision {
            precision,
            source: Box::new(source),
        })?;
        let element = match precision {
            InferencePrecision::Float16 => KernelElement::F16,
            InferencePrecision::Float32 => KernelElement::F32,
        };
        let accelerator = accelerator.map(|accelerator| (accelerator, element));
        let session = session::build(runtime, &model, device, options, accelerator);
        let session = session.map_err(|error| match error {
            SessionError::Plugin(error) => PredictorError::Plugin(error),
            SessionError::Refused(source) if device.is_gpu() => {
                PredictorError::Device(DeviceError::Unusable { device, source })
            }
            SessionError::Refused(source) => PredictorError::Refused { source },
        })?;
        Ok((session, model))
    }
}
