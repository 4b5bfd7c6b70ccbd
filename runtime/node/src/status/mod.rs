//! Health, queue and metrics over HTTP.

mod health;
mod http;

pub use http::HttpServer;
