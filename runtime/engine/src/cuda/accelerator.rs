//! Streams, kernels and memory of one network on a GPU.

use std::fmt;
use std::sync::Arc;

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::operator::OperatorDomain;
use ort::session::{IoBinding, NoSelectedOutputs, RunOptions, Session};
use ort::value::Tensor;

use super::buffers::VolumeBuffers;
use super::driver::CudaDriverError;
use super::gpu::{CudaContext, Stream};
use super::kernels::{KernelElement, NormKernels, StitchKernels};
use super::operator;

/// Streams, kernels and memory of one network on a GPU, kept from case to case.
pub(crate) struct Accelerator {
    // Dropped in this order, because the binding uses the session, which uses the stream.
    pub(super) bound: Option<Bound>,
    pub(super) buffers: Option<VolumeBuffers>,
    norm: Arc<NormKernels>,
    pub(super) stitch: StitchKernels,
    /// Stream of all computations, including ONNX Runtime's.
    pub(super) compute: Stream,
    /// Copies to and from the host.
    pub(super) copies: Stream,
    pub(super) gpu: Arc<CudaContext>,
}

/// Inputs and outputs of the network in the GPU's memory.
pub(super) struct Bound {
    binding: IoBinding,
    options: RunOptions<NoSelectedOutputs>,
    /// `[N, C, window]` and `[N, K, window]`.
    input: Tensor<f32>,
    output: Tensor<f32>,
}

impl fmt::Debug for Accelerator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Accelerator")
            .field("device", &self.gpu.index())
            .finish_non_exhaustive()
    }
}

impl Accelerator {
    /// Prepares the GPU of this index.
    ///
    /// **Errors**: no driver, no such GPU, or an unsupported one.
    pub(crate) fn open(index: u32) -> Result<Self, CudaDriverError> {
        let gpu = CudaContext::open(index)?;
        Ok(Self {
            compute: Stream::new(&gpu)?,
            copies: Stream::new(&gpu)?,
            stitch: StitchKernels::load(&gpu)?,
            norm: Arc::new(NormKernels::load(&gpu)?),
            bound: None,
            buffers: None,
            gpu,
        })
    }

    /// Stream that the session must run on.
    pub(crate) fn stream(&self) -> *mut () {
        self.compute.handle().cast()
    }

    /// Operators that networks of this element type may use.
    pub(crate) fn operators(&self, element: KernelElement) -> Result<OperatorDomain, ort::Error> {
        operator::domain(Arc::clone(&self.norm), element)
    }

    /// Binds the session's input and output to the GPU's memory, once; `waits` says whether each run waits for the GPU.
    pub(crate) fn bind(
        &mut self,
        session: &Session,
        [input_name, output_name]: [&str; 2],
        [input, output]: [[usize; 5]; 2],
        waits: bool,
    ) -> Result<(), ort::Error> {
        if self.bound.is_some() {
            return Ok(());
        }
        let index = i32::try_from(self.gpu.index()).unwrap_or(i32::MAX);
        let memory = MemoryInfo::new(
            AllocationDevice::CUDA,
            index,
            AllocatorType::Device,
            MemoryType::Default,
        )?;
        let allocator = Allocator::new(session, memory)?;
        let input: Tensor<f32> = Tensor::new(&allocator, input)?;
        let mut output: Tensor<f32> = Tensor::new(&allocator, output)?;
        let mut binding = session.create_binding()?;
        binding.bind_input(input_name, &input)?;
        binding.bind_output(output_name, &mut output)?;
        let mut options = RunOptions::new()?;
        if !waits {
            options.disable_device_sync()?;
        }
        self.bound = Some(Bound {
            binding,
            options,
            input,
            output,
        });
        Ok(())
    }
}

impl Bound {
    /// Addresses of the input and of the output.
    pub(super) fn addresses(&self) -> [u64; 2] {
        [self.input.data_ptr() as u64, self.output.data_ptr() as u64]
    }

    /// Queues a run of the network after everything else on its stream.
    pub(super) fn run(&self, session: &mut Session) -> Result<(), ort::Error> {
        session
            .run_binding_with_options(&self.binding, &self.options)
            .map(drop)
    }
}
