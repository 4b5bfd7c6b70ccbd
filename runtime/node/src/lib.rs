//! A DICOM node: receives series, has them segmented, and sends the results on.
//!
//! [`Node::start`] begins to listen. What arrives is on the disk before it is acknowledged; when a series is complete,
//! somebody who implements [`Predict`] is asked for results ([`ChildProcess`] runs `vesal predict`), and these are sent
//! until their destination has taken them. A node that is killed at any moment goes on where it was: see [`queue`].
//!
//! Of a data set only UIDs are read here, and logs, metrics and the queue's notes hold digests of these under a key of
//! the node's own. Why a prediction failed, they hold as a code and numbers: [`Reason`].
//!
//! **Threads**: one per connection, one that looks after the queue, one that asks sources, some that predict and send. Waits are bounded by
//! [`config::Limits`], memory by the number of connections.

pub mod clock;
pub mod config;
pub mod find;
pub mod log;
pub mod metrics;
pub mod network;
mod node;
pub mod queue;
mod reason;
mod receive;
pub mod send;
pub mod space;
mod status;
pub mod stop;
pub mod work;

pub use config::{Config, ConfigError};
pub use node::{Node, Shared, StartError, check_tls};
pub use reason::{Reason, Undelivered};
pub use work::{ChildProcess, Order, Predict};
