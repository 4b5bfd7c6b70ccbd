//! Ends the wait of a listener.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// Connects once, so that a listener checks whether it is to end.
pub fn wake_listener(mut address: SocketAddr) {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        });
    }
    let _ = TcpStream::connect_timeout(&address, Duration::from_millis(500));
}
