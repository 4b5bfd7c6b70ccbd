//! NCCL's sums over devices.
#![allow(unsafe_code, reason = "calls NCCL")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use cudarc::driver::sys::CUstream;
use libloading::Library;

use super::error::CudaError;

/// Names of the library; packages without headers have the first only.
const NAMES: [&str; 2] = ["libnccl.so.2", "libnccl.so"];

/// `ncclFloat32` and `ncclSum`.
const FLOAT_32: c_int = 7;
const SUM: c_int = 0;

/// `ncclComm_t`.
type RawCommunicator = *mut c_void;

type CommInitAll = unsafe extern "C" fn(*mut RawCommunicator, c_int, *const c_int) -> c_int;
type AllReduce = unsafe extern "C" fn(
    *const c_void,
    *mut c_void,
    usize,
    c_int,
    c_int,
    RawCommunicator,
    CUstream,
) -> c_int;
type GetErrorString = unsafe extern "C" fn(c_int) -> *const c_char;

/// NCCL; never unloaded.
pub struct Nccl {
    comm_init_all: CommInitAll,
    all_reduce: AllReduce,
    get_error_string: GetErrorString,
    _library: Library,
}

impl Nccl {
    /// The library, loaded at first use.
    ///
    /// **Errors**: [`CudaError::Nccl`].
    pub fn get() -> Result<&'static Self, CudaError> {
        static NCCL: OnceLock<Option<Nccl>> = OnceLock::new();
        NCCL.get_or_init(|| NAMES.into_iter().find_map(Self::load))
            .as_ref()
            .ok_or(CudaError::Nccl)
    }

    fn load(name: &str) -> Option<Self> {
        // SAFETY: NCCL's initializers have no preconditions; the symbols have these signatures in all of NCCL 2.
        unsafe {
            let library = Library::new(name).ok()?;
            Some(Self {
                comm_init_all: *library.get(b"ncclCommInitAll\0").ok()?,
                all_reduce: *library.get(b"ncclAllReduce\0").ok()?,
                get_error_string: *library.get(b"ncclGetErrorString\0").ok()?,
                _library: library,
            })
        }
    }

    /// Makes a communicator for each of these devices, in their order. They are integers because raw pointers are not
    /// `Send`.
    pub fn connect(&self, devices: &[usize]) -> Result<Vec<usize>, CudaError> {
        let count = c_int::try_from(devices.len()).unwrap_or(c_int::MAX);
        let devices: Vec<c_int> = devices
            .iter()
            .map(|&index| c_int::try_from(index).unwrap_or(c_int::MAX))
            .collect();
        let mut communicators = vec![ptr::null_mut(); devices.len()];
        // SAFETY: both arrays have the stated length.
        self.check(unsafe {
            (self.comm_init_all)(communicators.as_mut_ptr(), count, devices.as_ptr())
        })?;
        Ok(communicators.into_iter().map(|at| at as usize).collect())
    }

    /// Starts to sum `f32` values in place.
    ///
    /// # Safety
    ///
    /// The communicator must be from [`connect`](Self::connect), buffer and stream of its device, and the buffer of
    /// `count` values.
    pub unsafe fn sum(
        &self,
        communicator: usize,
        buffer: u64,
        count: usize,
        stream: CUstream,
    ) -> Result<(), CudaError> {
        let at = buffer as *mut c_void;
        // SAFETY: guaranteed by the caller.
        self.check(unsafe {
            (self.all_reduce)(
                at,
                at,
                count,
                FLOAT_32,
                SUM,
                communicator as RawCommunicator,
                stream,
            )
        })
    }

    fn check(&self, code: c_int) -> Result<(), CudaError> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: returns a static text for every code.
        let text = unsafe { CStr::from_ptr((self.get_error_string)(code)) };
        Err(CudaError::NcclCall(text.to_string_lossy().into_owned()))
    }
}
