//! Dispatch of computations to the best vector instructions of the processor.
#![allow(
    unsafe_code,
    reason = "calls functions compiled for processors with AVX2"
)]

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::lanes::{LANES, Lanes, Vectorized};

/// Runs a computation with the best vector instructions of this processor.
pub fn vectorized<V: Vectorized>(computation: V) -> V::Output {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has the features that the function is compiled for.
        return unsafe { avx2::run(computation) };
    }
    computation.run::<Portable>()
}

/// Vectors in the instructions of the compilation target.
#[derive(Clone, Copy)]
struct Portable([f32; LANES]);

impl Lanes for Portable {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn load(values: &[f32; LANES]) -> Self {
        Self(*values)
    }

    #[inline(always)]
    fn values(self) -> [f32; LANES] {
        self.0
    }

    // Not `mul_add`, which calls a library function on targets without the instruction.
    #[inline(always)]
    fn multiply_add(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|lane| {
            self.0[lane] * factor.0[lane] + addend.0[lane]
        }))
    }
}
