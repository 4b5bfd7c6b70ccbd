//! The driver of NVIDIA GPUs, found at run time: building needs nothing of CUDA.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use libloading::Library;
use thiserror::Error;

/// Why a GPU cannot be used.
#[derive(Debug, Error)]
pub enum CudaDriverError {
    #[error("the driver of NVIDIA GPUs cannot be loaded: {reason}")]
    Driver {
        /// Message of the dynamic loader.
        reason: String,
    },
    #[error("{call} fails on device `cuda:{device}`: {name} (error {code})")]
    Call {
        /// Index of the GPU.
        device: u32,
        /// Function of the driver.
        call: &'static str,
        /// Name of the error.
        name: String,
        code: i32,
    },
    /// The driver reports success but returns no memory.
    #[error("the driver cannot allocate {bytes} bytes of pinned memory for device `cuda:{device}`")]
    NoMemory {
        /// Index of the GPU.
        device: u32,
        /// Bytes that were asked for.
        bytes: usize,
    },
    /// The end of copies cannot be waited for.
    #[error(
        "the end of copies on device `cuda:{device}` is unknown, because the driver failed after them"
    )]
    Lost {
        /// Index of the GPU.
        device: u32,
    },
    /// Sizes that a kernel does not support.
    #[error("{what} is {found}, expected {expected}")]
    Unfit {
        what: &'static str,
        found: usize,
        /// The supported sizes.
        expected: &'static str,
    },
    /// A size beyond the memory or the index range of a kernel.
    #[error("{what} is {found}, expected at most {most}")]
    TooLarge {
        what: &'static str,
        found: usize,
        most: usize,
    },
}

impl CudaDriverError {
    /// Whether the GPU has too little memory.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Call { code, .. } => *code == OUT_OF_MEMORY,
            Self::NoMemory { .. } => true,
            _ => false,
        }
    }
}

const SUCCESS: c_int = 0;
const OUT_OF_MEMORY: c_int = 2;
pub(super) const NOT_READY: c_int = 600;

/// File name of the driver's library.
#[cfg(windows)]
const LIBRARY: &str = "nvcuda.dll";
#[cfg(not(windows))]
const LIBRARY: &str = "libcuda.so.1";

/// A context, module, function, stream or event of the driver.
pub(super) type Handle = *mut c_void;

/// Declares the table of the driver's functions, each under the symbol of its current version.
macro_rules! driver {
    ($($name:ident: $symbol:literal ($($argument:ty),*),)*) => {
        /// The functions of the driver that are used here.
        pub(super) struct Driver {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) -> c_int,)*
            _library: Library,
        }

        impl Driver {
            fn load() -> Result<Self, libloading::Error> {
                // SAFETY: the driver's library has no initializer with requirements on its caller.
                let library = unsafe { Library::new(LIBRARY) }?;
                $(
                    // SAFETY: the symbol has this signature in every driver.
                    let $name = unsafe { *library.get(concat!($symbol, "\0").as_bytes())? };
                )*
                Ok(Self { $($name,)* _library: library })
            }
        }
    };
}

driver! {
    init: "cuInit" (c_uint),
    error_name: "cuGetErrorName" (c_int, *mut *const c_char),
    device: "cuDeviceGet" (*mut c_int, c_int),
    context_retain: "cuDevicePrimaryCtxRetain" (*mut Handle, c_int),
    context_release: "cuDevicePrimaryCtxRelease_v2" (c_int),
    context_enter: "cuCtxSetCurrent" (Handle),
    module_load: "cuModuleLoadData" (*mut Handle, *const c_void),
    module_unload: "cuModuleUnload" (Handle),
    module_function: "cuModuleGetFunction" (*mut Handle, Handle, *const c_char),
    launch: "cuLaunchKernel" (
        Handle, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Handle, *mut *mut c_void, *mut *mut c_void
    ),
    stream_create: "cuStreamCreate" (*mut Handle, c_uint),
    stream_destroy: "cuStreamDestroy_v2" (Handle),
    stream_synchronize: "cuStreamSynchronize" (Handle),
    stream_wait: "cuStreamWaitEvent" (Handle, Handle, c_uint),
    event_create: "cuEventCreate" (*mut Handle, c_uint),
    event_destroy: "cuEventDestroy_v2" (Handle),
    event_record: "cuEventRecord" (Handle, Handle),
    event_synchronize: "cuEventSynchronize" (Handle),
    event_query: "cuEventQuery" (Handle),
    memory_allocate: "cuMemAlloc_v2" (*mut u64, usize),
    memory_free: "cuMemFree_v2" (u64),
    host_allocate: "cuMemHostAlloc" (*mut *mut c_void, usize, c_uint),
    host_free: "cuMemFreeHost" (*mut c_void),
    upload: "cuMemcpyHtoDAsync_v2" (u64, *const c_void, usize, Handle),
    download: "cuMemcpyDtoHAsync_v2" (*mut c_void, u64, usize, Handle),
    fill: "cuMemsetD32Async" (u64, c_uint, usize, Handle),
}

impl Driver {
    /// The driver, loaded once and started.
    ///
    /// **Errors**: there is no driver, or it finds no GPU.
    pub(super) fn get() -> Result<&'static Self, CudaDriverError> {
        static DRIVER: OnceLock<Result<Driver, String>> = OnceLock::new();
        let load = || Self::load().map_err(|error| error.to_string());
        let driver = DRIVER.get_or_init(load).as_ref();
        let driver = driver.map_err(|reason| CudaDriverError::Driver {
            reason: reason.clone(),
        })?;
        // SAFETY: this may be called any number of times; the only flags are none.
        driver.check(0, "cuInit", unsafe { (driver.init)(0) })?;
        Ok(driver)
    }

    /// Turns the code that a function returned into an error, if it is one.
    pub(super) fn check(
        &self,
        device: u32,
        call: &'static str,
        code: c_int,
    ) -> Result<(), CudaDriverError> {
        if code == SUCCESS {
            return Ok(());
        }
        let mut name = std::ptr::null();
        // SAFETY: the pointer is written to, with null or a text that lives as long as the library.
        let found = unsafe { (self.error_name)(code, &raw mut name) };
        let name = if found == SUCCESS && !name.is_null() {
            // SAFETY: the driver gave a text that ends with a zero.
            unsafe { CStr::from_ptr(name) }
                .to_string_lossy()
                .into_owned()
        } else {
            "unknown".into()
        };
        Err(CudaDriverError::Call {
            device,
            call,
            name,
            code,
        })
    }
}
