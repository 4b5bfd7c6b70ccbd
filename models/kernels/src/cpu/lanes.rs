//! Vectors of eight numbers, and computations written in them.

/// Numbers per vector.
pub const LANES: usize = 8;

/// Eight numbers computed with at once.
pub trait Lanes: Copy {
    /// The same number eight times.
    fn splat(value: f32) -> Self;

    /// Loads eight consecutive numbers.
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
    type Output;

    fn run<L: Lanes>(self) -> Self::Output;
}
