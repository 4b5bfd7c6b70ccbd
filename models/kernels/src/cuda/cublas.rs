//! cuBLAS's matrix products.
#![allow(unsafe_code, reason = "calls cuBLAS")]

use std::ffi::{c_int, c_void};

use cudarc::cublas::sys::{
    self, cublasComputeType_t, cublasGemmAlgo_t, cublasHandle_t, cublasOperation_t, cudaDataType_t,
};
use cudarc::driver::sys::CUstream;

use super::argument::argument;
use super::error::CudaError;
use super::precision::ActivationType;

/// A dense row-major matrix on the device.
#[derive(Debug, Clone, Copy)]
pub struct DeviceMatrix {
    pub address: u64,
    pub precision: ActivationType,
    pub columns: usize,
    /// Whether the product takes its transpose.
    pub is_transposed: bool,
}

impl DeviceMatrix {
    pub fn new(address: u64, precision: ActivationType, columns: usize) -> Self {
        Self {
            address,
            precision,
            columns,
            is_transposed: false,
        }
    }

    pub fn transposed(self) -> Self {
        Self {
            is_transposed: true,
            ..self
        }
    }

    fn operation(&self) -> cublasOperation_t {
        match self.is_transposed {
            true => cublasOperation_t::CUBLAS_OP_T,
            false => cublasOperation_t::CUBLAS_OP_N,
        }
    }

    fn data_type(&self) -> cudaDataType_t {
        match self.precision {
            ActivationType::Half => cudaDataType_t::CUDA_R_16F,
            ActivationType::Single => cudaDataType_t::CUDA_R_32F,
        }
    }
}

/// cuBLAS on one stream.
pub struct Cublas {
    handle: cublasHandle_t,
}

impl Cublas {
    pub fn new(stream: CUstream) -> Result<Self, CudaError> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle is written before it is used and never destroyed; a driver's stream is a runtime's.
        unsafe {
            sys::cublasCreate_v2(&mut handle).result()?;
            sys::cublasSetStream_v2(handle, stream.cast()).result()?;
        }
        Ok(Self { handle })
    }

    /// Launches `c = a b`, `[rows, inner]` by `[inner, columns]` after any transposition, summed in `f32`.
    ///
    /// # Safety
    ///
    /// The matrices must have these sizes; `a` and `b` must have the same type.
    pub unsafe fn multiply(
        &self,
        [rows, inner]: [usize; 2],
        a: DeviceMatrix,
        b: DeviceMatrix,
        c: DeviceMatrix,
    ) -> Result<(), CudaError> {
        let length = |value: usize| c_int::try_from(value).unwrap_or(c_int::MAX);
        let address = |matrix: &DeviceMatrix| matrix.address as *mut c_void;
        let (one, zero) = (argument(&1.0_f32), argument(&0.0_f32));
        // cuBLAS takes columns first, in which a row-major matrix is its transpose: cᵀ = bᵀ aᵀ.
        // SAFETY: promised by the caller; the two factors are static.
        unsafe {
            sys::cublasGemmEx(
                self.handle,
                b.operation(),
                a.operation(),
                length(c.columns),
                length(rows),
                length(inner),
                one,
                address(&b),
                b.data_type(),
                length(b.columns),
                address(&a),
                a.data_type(),
                length(a.columns),
                zero,
                address(&c),
                c.data_type(),
                length(c.columns),
                cublasComputeType_t::CUBLAS_COMPUTE_32F,
                cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
            .result()?;
        }
        Ok(())
    }
}
