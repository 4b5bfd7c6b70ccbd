//! The rewrites, one a file.

mod fix_batch;
mod half;
mod split_head;

pub use half::Interface;
pub use split_head::Head;
