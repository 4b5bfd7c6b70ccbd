//! Takes in what others send: C-ECHO and C-STORE.

mod listener;
mod negotiate;
mod session;
mod store;

pub use listener::{Listener, Slots, wake};
