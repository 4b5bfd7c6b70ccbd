//! Vectors in the instructions of AVX2 and FMA.
#![allow(
    unsafe_code,
    reason = "vector instructions beyond the target's baseline"
)]

use std::arch::x86_64::{__m256, _mm256_fmadd_ps, _mm256_set1_ps};
use std::mem::transmute;

use super::lanes::{LANES, Lanes, Vectorized};

#[target_feature(enable = "avx2,fma")]
pub fn run<V: Vectorized>(computation: V) -> V::Output {
    computation.run::<Avx2>()
}

/// Constructed only under [`run`], so the processor has the instructions.
#[derive(Clone, Copy)]
struct Avx2(__m256);

impl Lanes for Avx2 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see the type.
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    fn load(values: &[f32; LANES]) -> Self {
        // SAFETY: both are eight floats.
        Self(unsafe { transmute::<[f32; LANES], __m256>(*values) })
    }

    #[inline(always)]
    fn values(self) -> [f32; LANES] {
        // SAFETY: both are eight floats.
        unsafe { transmute::<__m256, [f32; LANES]>(self.0) }
    }

    #[inline(always)]
    fn multiply_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: see the type.
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
    }
}
