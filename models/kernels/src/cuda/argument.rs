//! Arguments of kernels.

use std::ffi::c_void;

pub fn argument<T>(value: &T) -> *mut c_void {
    std::ptr::from_ref(value).cast_mut().cast()
}
