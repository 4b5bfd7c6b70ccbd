//! Runs networks through ONNX Runtime.
