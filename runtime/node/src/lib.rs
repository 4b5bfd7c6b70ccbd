//! A DICOM node: receives series, has them segmented, and sends the results to their destinations.
//!
//! [`Node::start`] begins to listen. An instance is on the disk before it is acknowledged; when a series is complete,
//! an implementation of [`Predict`] makes results ([`ChildProcess`] runs a [`PredictionProgram`]), which are sent
//! until their destination has accepted them. A node that is killed at any moment resumes where it was: see [`queue`].
//!
//! Only UIDs of a data set are read here, and logs, metrics and the queue's records hold digests of these under a key
//! of the node's own. The reason of a failed prediction is a code with numbers: [`Reason`].
//!
//! **Threads**: one per connection, one that maintains the queue, one that queries sources, some that predict and send.
//! Waits are bounded by [`config::NodeLimits`], memory by the number of connections.

pub mod clock;
pub mod config;
mod failures;
pub mod find;
pub mod log;
pub mod metrics;
pub mod network;
mod node;
mod node_state;
pub mod queue;
mod reason;
mod receive;
pub mod send;
pub mod space;
mod status;
pub mod stop;
pub mod work;

pub use config::{Config, NodeConfigError};
pub use node::{Node, StartError, check_tls};
pub use node_state::NodeState;
pub use reason::{Reason, Undelivered};
pub use work::{ChildProcess, ExitMeaning, Predict, PredictionProgram, PredictionRequest};
