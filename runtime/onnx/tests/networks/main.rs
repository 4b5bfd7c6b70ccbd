//! Networks in ONNX: writing, checking, rewriting.

#[path = "../example/mod.rs"]
mod example;
#[macro_use]
#[path = "../parts/mod.rs"]
mod parts;

mod bytes;
mod checker;
mod load;
mod operators;
mod own_convolutions;
mod rewrites;
mod shape_rules;
