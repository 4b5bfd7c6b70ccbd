//! DICOM's upper layer and messages (PS3.8, PS3.7), as acceptor and requester.
//!
//! A PDU is read whole into a buffer of bounded size before anything in it is believed; nothing that a peer states is
//! allocated. Every wait has an end. The bytes of a data set are passed on as they come. Whether a connection has TLS, only
//! [`connection`] knows.

pub mod association;
pub mod command;
pub mod connection;
pub mod pool;
pub mod requester;
pub mod tls;
pub mod wire;
