//! Exports networks to ONNX and packs bundles.
//!
//! A network's forward pass is interpreted a second time, by a recorder instead of by Burn ([`lower`]); the graph is
//! checked by ONNX's rules ([`vesal_onnx::check`]), compared with Burn in ONNX Runtime ([`parity`]) and put beside plan, probe and
//! provenance into a bundle ([`assemble`]). Networks come from a work directory ([`package`], which [`selection`] chooses from) or from MONAI
//! checkpoints ([`import`](mod@import)); [`signing`] signs bundles. Trainer and exporter meet in files alone.

pub mod assemble;
pub mod cli;
pub mod import;
pub mod lower;
pub mod package;
pub mod parity;
pub mod runs;
pub mod selection;
pub mod signing;
pub mod weights;
