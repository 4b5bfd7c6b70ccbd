//! Our kernels' sources, compiled for the device at first use.
#![allow(unsafe_code, reason = "calls NVRTC")]

use std::ffi::{CStr, CString, c_char};

use cudarc::nvrtc::{result as nvrtc, sys};

use super::error::CudaError;
use super::precision::ActivationType;

const VOLUMES: &str = concat!(
    include_str!("kernels/common.cu"),
    include_str!("kernels/layout.cu"),
    include_str!("kernels/channels.cu"),
    include_str!("kernels/combine.cu"),
    include_str!("kernels/batch_norm.cu"),
    include_str!("kernels/leaky_relu.cu"),
    include_str!("kernels/resize.cu"),
    include_str!("kernels/loss.cu"),
    include_str!("kernels/optimizer.cu"),
);

const ROWS: &str = concat!(
    include_str!("kernels/common.cu"),
    include_str!("kernels/rows.cu"),
);

const ATTENTION: &str = concat!(
    include_str!("kernels/common.cu"),
    include_str!("kernels/matrices.cu"),
    include_str!("kernels/attention.cu"),
);

/// Kernels that are compiled together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Program {
    /// Volumes, losses and the optimizer, which every training needs.
    Volumes,
    /// Layer normalization, GELU, and rows at constant indices.
    Rows,
    /// Attention with this many channels per head.
    Attention {
        precision: ActivationType,
        head: u32,
    },
}

impl Program {
    fn source(self) -> String {
        match self {
            Self::Volumes => VOLUMES.to_owned(),
            Self::Rows => ROWS.to_owned(),
            Self::Attention { precision, head } => {
                let value = match precision {
                    ActivationType::Half => "Half",
                    ActivationType::Single => "float",
                };
                format!("#define HEAD {head}\n#define VALUE {value}\n{ATTENTION}")
            }
        }
    }
}

/// Machine code for one architecture, as in `90`.
///
/// Not PTX, which drivers older than the compiler refuse.
pub fn compile(kernels: Program, architecture: i32) -> Result<Vec<c_char>, CudaError> {
    let source = CString::new(kernels.source())
        .map_err(|error| CudaError::Compilation(error.to_string()))?;
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
