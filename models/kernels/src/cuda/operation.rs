//! Operations on tensors: their buffers, and their launches on CubeCL's device thread.
#![allow(unsafe_code, reason = "launches kernels")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use burn::tensor::{DType, Shape};
use cubecl::Runtime;
use cubecl::client::ComputeClient;
use cubecl::cuda::{CudaDevice, CudaRuntime};
use cubecl::server::{Binding, ComputeServer};
use cubecl_common::device::Device;
use cubecl_common::device_handle::DeviceHandle;
use cubecl_common::stream_id::StreamId;

use super::backend::CudaTensor;
use super::error::CudaError;
use super::gpu::{Gpu, with_gpu};
use super::tensor::{Strided, is_dense};

/// The first error on each device's thread, with which the next operation on the device panics.
static FAILURES: Mutex<BTreeMap<usize, String>> = Mutex::new(BTreeMap::new());

#[derive(Debug, Clone, Copy)]
pub struct Buffer(usize);

/// Addresses of an operation's buffers on the device.
pub struct Addresses(Vec<u64>);

impl Addresses {
    pub fn of(&self, buffer: Buffer) -> u64 {
        self.0[buffer.0]
    }
}

struct Copied {
    from: Buffer,
    into: Buffer,
    kernel: &'static str,
    layout: Strided,
}

/// An operation before it is launched.
pub struct Operation {
    client: ComputeClient<CudaRuntime>,
    device: CudaDevice,
    bindings: Vec<Binding>,
    copies: Vec<Copied>,
}

impl Operation {
    /// An operation on the device of a tensor.
    pub fn beside(tensor: &CudaTensor) -> Self {
        Self {
            client: tensor.client.clone(),
            device: tensor.device.clone(),
            bindings: Vec::new(),
            copies: Vec::new(),
        }
    }

    fn bind(&mut self, tensor: &CudaTensor) -> Buffer {
        self.bindings.push(tensor.handle.clone().binding());
        Buffer(self.bindings.len() - 1)
    }

    /// The buffer of a tensor with its own strides.
    pub fn strided(&mut self, tensor: &CudaTensor) -> Buffer {
        self.bind(tensor)
    }

    /// The buffer of a dense, aligned tensor: of a copy where the tensor is not.
    pub fn dense(&mut self, tensor: CudaTensor) -> Buffer {
        if is_dense(&tensor) {
            return self.bind(&tensor);
        }
        self.copied(&tensor).1
    }

    /// A dense tensor to write into: the tensor itself if nothing else holds it, a copy otherwise.
    pub fn writable(&mut self, tensor: CudaTensor) -> (CudaTensor, Buffer) {
        if is_dense(&tensor) && tensor.handle.can_mut() {
            let buffer = self.bind(&tensor);
            return (tensor, buffer);
        }
        self.copied(&tensor)
    }

    fn copied(&mut self, tensor: &CudaTensor) -> (CudaTensor, Buffer) {
        let from = self.bind(tensor);
        let (copy, into) = self.output(tensor.meta.shape().clone(), tensor.dtype);
        let shape: Vec<usize> = tensor.meta.shape().iter().copied().collect();
        let strides: Vec<usize> = tensor.meta.strides().iter().copied().collect();
        self.copies.push(Copied {
            from,
            into,
            kernel: match tensor.dtype.size() {
                2 => "copy_2",
                _ => "copy_4",
            },
            layout: Strided::new(&shape, &strides),
        });
        (copy, into)
    }

    /// A new tensor, dense and row-major, whose values are not initialized.
    pub fn output(&mut self, shape: impl Into<Shape>, dtype: DType) -> (CudaTensor, Buffer) {
        let shape = shape.into();
        let handle = self.client.empty(shape.num_elements() * dtype.size());
        let tensor = CudaTensor::new_contiguous(
            self.client.clone(),
            self.device.clone(),
            shape,
            handle,
            dtype,
        );
        let buffer = self.bind(&tensor);
        (tensor, buffer)
    }

    /// Sends the launches to the device thread, after the copies that the inputs need.
    ///
    /// # Panics
    ///
    /// If an operation on the same device has failed before.
    pub fn submit(
        self,
        work: impl FnOnce(&mut Gpu, &Addresses) -> Result<(), CudaError> + Send + 'static,
    ) {
        panic_if_failed(&self.device);
        let Self {
            device,
            bindings,
            copies,
            ..
        } = self;
        let index = device.index;
        server(&device).submit(move |server| {
            report(index, || {
                let stream = StreamId::current();
                // Held until the launches are queued, so that no memory is reused before.
                let resources = bindings
                    .into_iter()
                    .map(|binding| server.get_resource(binding, stream))
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|error| CudaError::Memory(format!("{error:?}")))?;
                let addresses =
                    Addresses(resources.iter().map(|held| held.resource().ptr).collect());
                with_gpu(index, |gpu| {
                    gpu.ordered(|gpu| {
                        for copy in &copies {
                            let [from, into] = [copy.from, copy.into].map(|at| addresses.of(at));
                            // SAFETY: layout and size are those of the tensor.
                            unsafe { copy.layout.copy(gpu, copy.kernel, from, into)? };
                        }
                        work(gpu, &addresses)
                    })
                })
            });
        });
    }
}

/// Runs `question` on a device's thread and waits for its result, but not for the GPU.
///
/// # Panics
///
/// If the question fails, or an operation has failed before.
pub fn ask<R: Send>(
    device: &CudaDevice,
    question: impl FnOnce(&mut Gpu) -> Result<R, CudaError> + Send,
) -> R {
    panic_if_failed(device);
    let index = device.index;
    match server(device).submit_blocking(move |_| with_gpu(index, question)) {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => panic!("{error}"),
        Err(error) => panic!("CubeCL's device thread: {error:?}"),
    }
}

/// Sends operations that are still queued to a device's thread.
pub fn flush(device: &CudaDevice) {
    server(device).flush_queue();
}

/// Waits until a device's thread has launched everything so far, but not for the GPU.
///
/// # Panics
///
/// If an operation has failed.
pub fn wait_for_launches(device: &CudaDevice) {
    ask(device, |_| Ok(()));
    panic_if_failed(device);
}

fn server(device: &CudaDevice) -> DeviceHandle<<CudaRuntime as Runtime>::Server> {
    DeviceHandle::new(device.to_id())
}

fn report(index: usize, work: impl FnOnce() -> Result<(), CudaError>) {
    let failure = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "a panic while launching kernels".to_owned(),
    };
    let mut failures = FAILURES.lock().unwrap_or_else(PoisonError::into_inner);
    failures.entry(index).or_insert(failure);
}

pub fn panic_if_failed(device: &CudaDevice) {
    let failures = FAILURES.lock().unwrap_or_else(PoisonError::into_inner);
    let failure = failures.get(&device.index).cloned();
    drop(failures);
    if let Some(failure) = failure {
        panic!("a kernel could not be launched: {failure}");
    }
}
