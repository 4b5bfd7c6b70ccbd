//! The whole chain through files and processes: train, export, verify, predict.

mod algorithms;
mod chain;
mod killed;
mod regions;
