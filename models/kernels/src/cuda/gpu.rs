//! State of a device: a stream, its order against CubeCL's, the compiled kernels and scratch memory.
#![allow(unsafe_code, reason = "calls the CUDA driver")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::{CString, c_void};

use cudarc::driver::result as driver;
use cudarc::driver::sys::{
    CUcontext, CUdevice_attribute, CUevent, CUevent_flags, CUevent_wait_flags, CUfunction,
    CUmodule, CUstream,
};

use super::context_events::{ContextEvent, context_events};
use super::cublas::Cublas;
use super::cudnn::Cudnn;
use super::error::CudaError;
use super::pages::Pages;
use super::program::{self, Program};

/// Alignment of scratch memory, in bytes.
const ALIGNMENT: usize = 512;

/// Scratch memory grows by multiples of this.
const GROWTH: usize = 64 << 20;

thread_local! {
    /// By index of the device; thread-local on CubeCL's device threads.
    static GPUS: RefCell<HashMap<usize, Gpu>> = RefCell::new(HashMap::new());
}

/// Runs `work` with the state of a device, on CubeCL's thread for it.
pub fn with_gpu<R>(
    index: usize,
    work: impl FnOnce(&mut Gpu) -> Result<R, CudaError>,
) -> Result<R, CudaError> {
    GPUS.with_borrow_mut(|gpus| {
        work(match gpus.entry(index) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Gpu::new(index)?),
        })
    })
}

pub struct Gpu {
    context: CUcontext,
    stream: CUstream,
    /// Recorded after CubeCL's launches before an operation, and after the operation.
    events: [CUevent; 2],
    record_context: ContextEvent,
    hold_context: ContextEvent,
    /// As in `90`.
    architecture: i32,
    modules: HashMap<Program, CUmodule>,
    functions: HashMap<(Program, String), CUfunction>,
    scratch: u64,
    scratch_bytes: usize,
    cudnn: Option<Cudnn>,
    cublas: Option<Cublas>,
    pub multiprocessors: u32,
    /// Host memory for numbers that are read back.
    pub pages: Pages,
}

impl Gpu {
    fn new(index: usize) -> Result<Self, CudaError> {
        use CUdevice_attribute::{
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
            CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT as MULTIPROCESSORS,
        };
        let [record_context, hold_context] = context_events()?;
        let device = driver::device::get(i32::try_from(index).unwrap_or(i32::MAX))?;
        // SAFETY: the device exists; the primary context is never released.
        unsafe {
            let context = match driver::ctx::get_current()? {
                Some(context) => context,
                None => {
                    let context = driver::primary_ctx::retain(device)?;
                    driver::ctx::set_current(context)?;
                    context
                }
            };
            let attribute = |which| driver::device::get_attribute(device, which);
            let architecture = attribute(MAJOR)? * 10 + attribute(MINOR)?;
            let event = || driver::event::create(CUevent_flags::CU_EVENT_DISABLE_TIMING);
            Ok(Self {
                context,
                stream: driver::stream::create(driver::stream::StreamKind::NonBlocking)?,
                events: [event()?, event()?],
                record_context,
                hold_context,
                architecture,
                modules: HashMap::new(),
                functions: HashMap::new(),
                scratch: 0,
                scratch_bytes: 0,
                cudnn: None,
                cublas: None,
                multiprocessors: u32::try_from(attribute(MULTIPROCESSORS)?).unwrap_or(1),
                pages: Pages::default(),
            })
        }
    }

    /// Runs launches after all of CubeCL's earlier launches and before its later ones.
    pub fn ordered(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        let [before, after] = self.events;
        let default = CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
        // SAFETY: context, stream and events are of this device and never destroyed.
        unsafe {
            (self.record_context)(self.context, before).result()?;
            driver::stream::wait_event(self.stream, before, default)?;
        }
        let outcome = work(self);
        // SAFETY: as above.
        unsafe {
            driver::event::record(after, self.stream)?;
            (self.hold_context)(self.context, after).result()?;
        }
        outcome
    }

    /// Time between two points of the stream around launches. Waits for them.
    pub fn milliseconds(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), CudaError>,
    ) -> Result<f32, CudaError> {
        let create = || driver::event::create(CUevent_flags::CU_EVENT_DEFAULT);
        let [start, end] = [create()?, create()?];
        // SAFETY: stream and events are of this device; the events are destroyed once, after their last use.
        unsafe {
            driver::event::record(start, self.stream)?;
            let outcome = work(self);
            driver::event::record(end, self.stream)?;
            driver::event::synchronize(end)?;
            let elapsed = driver::event::elapsed(start, end)?;
            driver::event::destroy(start)?;
            driver::event::destroy(end)?;
            outcome.map(|()| elapsed)
        }
    }

    /// Scratch buffers for one operation, together: a second call may reallocate them.
    pub fn scratch<const N: usize>(&mut self, sizes: [usize; N]) -> Result<[u64; N], CudaError> {
        let padded = sizes.map(|size| size.next_multiple_of(ALIGNMENT));
        let total: usize = padded.iter().sum();
        if total > self.scratch_bytes {
            let bytes = total.next_multiple_of(GROWTH);
            // SAFETY: nothing uses the old memory once the stream is idle, as no other stream ever does.
            unsafe {
                driver::stream::synchronize(self.stream)?;
                if self.scratch != 0 {
                    let old = std::mem::take(&mut self.scratch);
                    self.scratch_bytes = 0;
                    driver::free_sync(old)?;
                }
                self.scratch = driver::malloc_sync(bytes)?;
            }
            self.scratch_bytes = bytes;
        }
        let mut at = self.scratch;
        Ok(padded.map(|size| {
            let own = at;
            at += size as u64;
            own
        }))
    }

    pub fn context(&self) -> CUcontext {
        self.context
    }

    pub fn scratch_bytes(&self) -> usize {
        self.scratch_bytes
    }

    /// A kernel, compiled at the first use of its program.
    fn function(&mut self, program: Program, kernel: &str) -> Result<CUfunction, CudaError> {
        let key = (program, kernel.to_owned());
        if let Some(function) = self.functions.get(&key) {
            return Ok(*function);
        }
        let module = match self.modules.entry(program) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let image = program::compile(program, self.architecture)?;
                // SAFETY: the image is a whole one.
                *new.insert(unsafe { driver::module::load_data(image.as_ptr().cast())? })
            }
        };
        let name = CString::new(kernel).expect("a name without zeros");
        // SAFETY: the module is loaded and never unloaded.
        let function = unsafe { driver::module::get_function(module, name)? };
        self.functions.insert(key, function);
        Ok(function)
    }

    /// Launches a kernel of [`Program::Volumes`].
    ///
    /// # Safety
    ///
    /// As of [`launch_of`](Self::launch_of).
    pub unsafe fn launch(
        &mut self,
        kernel: &str,
        grid: [u32; 3],
        threads: u32,
        shared_bytes: u32,
        arguments: &mut [*mut c_void],
    ) -> Result<(), CudaError> {
        let program = Program::Volumes;
        // SAFETY: guaranteed by the caller.
        unsafe { self.launch_of(program, kernel, grid, threads, shared_bytes, arguments) }
    }

    /// Launches a kernel of a program.
    ///
    /// # Safety
    ///
    /// The arguments must point to values of the types of the kernel's parameters, and the kernel must stay inside the
    /// memory that they name.
    pub unsafe fn launch_of(
        &mut self,
        program: Program,
        kernel: &str,
        grid: [u32; 3],
        threads: u32,
        shared_bytes: u32,
        arguments: &mut [*mut c_void],
    ) -> Result<(), CudaError> {
        let function = self.function(program, kernel)?;
        let [x, y, z] = grid;
        // SAFETY: guaranteed by the caller.
        unsafe {
            driver::launch_kernel(
                function,
                (x, y, z),
                (threads, 1, 1),
                shared_bytes,
                self.stream,
                arguments,
            )?;
        }
        Ok(())
    }

    /// Copies between buffers of this device.
    ///
    /// # Safety
    ///
    /// Both buffers must have at least `bytes` bytes.
    pub unsafe fn copy(&mut self, from: u64, into: u64, bytes: usize) -> Result<(), CudaError> {
        // SAFETY: guaranteed by the caller.
        unsafe { driver::memcpy_dtod_async(into, from, bytes, self.stream)? };
        Ok(())
    }

    /// The stream that everything is launched on.
    pub fn stream(&self) -> CUstream {
        self.stream
    }

    /// cuDNN on this device's stream, loaded at first use.
    pub fn cudnn(&mut self) -> Result<&mut Cudnn, CudaError> {
        if self.cudnn.is_none() {
            self.cudnn = Some(Cudnn::new(self.stream)?);
        }
        Ok(self.cudnn.as_mut().expect("made above"))
    }

    /// cuBLAS on this device's stream, loaded at first use.
    pub fn cublas(&mut self) -> Result<&Cublas, CudaError> {
        if self.cublas.is_none() {
            self.cublas = Some(Cublas::new(self.stream)?);
        }
        Ok(self.cublas.as_ref().expect("made above"))
    }
}
