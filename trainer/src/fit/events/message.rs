//! Messages of event files.

use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

/// A record of an event file.
///
/// **Source**: TensorFlow `event.proto`, the fields that scalars need.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// Version of the format; in the first record only.
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
    /// Start or end of a session.
    #[prost(message, optional, tag = "7")]
    pub session_log: Option<SessionLog>,
}

impl Event {
    pub fn now(step: usize) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            wall_time: since.unwrap_or_default().as_secs_f64(),
            step: i64::try_from(step).unwrap_or(i64::MAX),
            ..Self::default()
        }
    }
}

/// Values of a step.
///
/// **Source**: TensorFlow `summary.proto`.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(string, tag = "1")]
    pub tag: String,
    #[prost(float, optional, tag = "2")]
    pub simple_value: Option<f32>,
}

impl Value {
    pub fn new(tag: &str, value: f32) -> Self {
        Self {
            tag: tag.to_owned(),
            simple_value: Some(value),
        }
    }
}

/// Start or end of a session.
#[derive(Clone, PartialEq, Message)]
pub struct SessionLog {
    /// 1 for a start: events of this and later steps in earlier records are void.
    #[prost(int32, tag = "1")]
    pub status: i32,
}

impl SessionLog {
    pub fn start() -> Self {
        Self { status: 1 }
    }
}
