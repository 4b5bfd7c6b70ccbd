//! Shared libraries that Python packages bring.
//!
//! NVIDIA publishes CUDA's libraries as Python packages, which no loader of a system looks for. [`cuda::load`] loads them
//! from there, in the order of their dependencies; whoever asks for one by its name afterwards, as ONNX Runtime does, gets
//! the loaded one. [`environments`] are searched in this order:
//!
//! 1. that of the executable: a virtual environment, or what pipx and uv made for it;
//! 2. those named by `VIRTUAL_ENV` and `CONDA_PREFIX`;
//! 3. the system, by its loader.

pub mod cuda;
mod environments;
mod guard;

pub use environments::{active, environments, of_executable, site_packages};
pub use guard::{GuardError, check};
