//! Vectors of eight numbers, on whatever the processor has for them.
#![allow(
    unsafe_code,
    reason = "vector instructions beyond the target's baseline"
)]

/// Numbers per vector.
pub const LANES: usize = 8;

/// Eight numbers computed with at once.
pub trait Lanes: Copy {
    /// The same number eight times.
    fn splat(value: f32) -> Self;

    /// Eight consecutive numbers.
    fn load(values: &[f32; LANES]) -> Self;

    /// The numbers in order.
    fn values(self) -> [f32; LANES];

    /// `self · factor + addend`.
    fn multiply_add(self, factor: Self, addend: Self) -> Self;
}

/// A computation compiled once per kind of processor.
///
/// An implementation marks `run` and all it calls down to the inner loop `#[inline(always)]`: only what is inlined is
/// compiled for the kind at hand.
pub trait Vectorized {
    /// What it computes.
    type Output;

    /// Computes it.
    fn run<L: Lanes>(self) -> Self::Output;
}

/// Runs a computation with the best vectors this processor has.
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

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{__m256, _mm256_fmadd_ps, _mm256_set1_ps};
    use std::mem::transmute;

    use super::{LANES, Lanes, Vectorized};

    #[target_feature(enable = "avx2,fma")]
    pub fn run<V: Vectorized>(computation: V) -> V::Output {
        computation.run::<Avx2>()
    }

    /// Made nowhere but under [`run`], so the processor has the instructions.
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
}
