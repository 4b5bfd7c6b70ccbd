//! A reader of pickles that executes nothing.
//!
//! A pickle is a program that may call any Python function. This machine supports a handful of functions, all of which
//! only build data; any other name is an error. Objects live in an arena, so that sharing and cycles are free, and
//! every opcode allocates in proportion to its own bytes.

mod calls;
mod known;
mod machine;
mod object;

pub use machine::{PickleError, read};
pub use object::{Arena, Id, Object, Storage, StorageType, Tensor};
