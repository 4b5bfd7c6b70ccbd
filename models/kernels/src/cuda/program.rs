//! Our kernels' source, compiled for the device at first use.
#![allow(unsafe_code, reason = "calls NVRTC")]

use std::ffi::{CStr, CString, c_char};

use cudarc::nvrtc::{result as nvrtc, sys};

use super::error::CudaError;

const SOURCE: &str = concat!(
    include_str!("kernels/common.cu"),
    include_str!("kernels/layout.cu"),
    include_str!("kernels/channels.cu"),
    include_str!("kernels/combine.cu"),
    include_str!("kernels/batch_norm.cu"),
    include_str!("kernels/leaky_relu.cu"),
    include_str!("kernels/loss.cu"),
    include_str!("kernels/optimizer.cu"),
);

/// Machine code for one architecture, as in `90`.
///
/// Not PTX, which drivers older than the compiler refuse.
pub fn compile(architecture: i32) -> Result<Vec<c_char>, CudaError> {
    let source = CString::new(SOURCE).map_err(|error| CudaError::Compilation(error.to_string()))?;
    let program = nvrtc::create_program(&source, Some(c"vesal.cu"))?;
    let options = [
        format!("--gpu-architecture=sm_{architecture}"),
        "--std=c++17".to_owned(),
    ];
    // SAFETY: the program was just created and is destroyed last; the image has the size that NVRTC names.
    unsafe {
        if nvrtc::compile_program(program, &options).is_err() {
            let log = nvrtc::get_program_log(program)?;
            let log = CStr::from_ptr(log.as_ptr()).to_string_lossy().into_owned();
            return Err(CudaError::Compilation(log));
        }
        let mut size = 0;
        sys::nvrtcGetCUBINSize(program, &mut size).result()?;
        let mut image = vec![0; size];
        sys::nvrtcGetCUBIN(program, image.as_mut_ptr()).result()?;
        nvrtc::destroy_program(program)?;
        Ok(image)
    }
}
