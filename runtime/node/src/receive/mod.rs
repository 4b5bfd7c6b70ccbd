//! Receives instances: C-ECHO and C-STORE as provider.

mod listener;
mod negotiate;
mod session;
mod slots;
mod store;

pub use listener::Listener;
pub use slots::ConnectionSlots;
