//! Random changes to training patches. Which of them are applied, and in which order, is part of an algorithm.

mod affine;
mod intensity;
mod patch;
pub mod random;
mod smooth;
mod turn;
mod zoom;

pub use affine::warp;
pub use intensity::{
    Contrast, add_noise, adjust_contrast, histogram_shares, scale_and_shift, scale_around_mean,
    shift_histogram,
};
pub use patch::Patch;
pub use smooth::smooth;
pub use turn::{flip, quarter_turns};
pub use zoom::zoom;
