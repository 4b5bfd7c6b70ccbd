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
/// An implementation marks `run` and all functions down to the inner loop `#[inline(always)]`, because only inlined
/// code is compiled for the instruction set.
pub trait Vectorized {
    type Output;

    fn run<L: Lanes>(self) -> Self::Output;
}
