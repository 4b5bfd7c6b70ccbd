//! DICOM's upper layer and messages (PS3.8, PS3.7), as acceptor and requester.
//!
//! A PDU is read whole into a buffer of bounded size before it is decoded; no size that a peer states is allocated
//! unchecked. Every wait has a time limit. The bytes of a data set are passed on as they arrive. Only [`connection`]
//! depends on TLS.

pub mod association;
pub mod command;
pub mod connection;
pub mod error;
pub mod pdu;
pub mod pdu_stream;
pub mod pool;
pub mod requester;
mod timeout;
pub mod tls;
mod wake;

pub use wake::wake_listener;
