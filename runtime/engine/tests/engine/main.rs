//! Sliding windows through networks.

#[path = "../comparison/mod.rs"]
mod comparison;
#[path = "../example/mod.rs"]
mod example;
#[path = "../../../onnx/tests/example/mod.rs"]
mod network;

mod attention;
mod convolutions;
mod networks;
mod plans;
mod segment;
mod trial;
mod verify;
