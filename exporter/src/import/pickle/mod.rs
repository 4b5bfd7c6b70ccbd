//! A reader of pickles that runs nothing.
//!
//! A pickle is a program that may call any Python function. This machine knows a handful of functions, all of which
//! only put data together; the name of any other one ends the reading. Objects live in an arena, so that sharing and
//! cycles cost nothing, and every opcode allocates in proportion to its own bytes.

mod calls;
mod known;
mod machine;
mod object;

pub use machine::{PickleError, read};
pub use object::{Arena, Id, Object, StorageType, Tensor};
