//! Events as lines.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock::Time;
use crate::log::Format;

/// Writes each event as a line, whole. A writer that is closed or full is no failure.
pub struct Lines {
    format: Format,
    writer: Mutex<Box<dyn Write + Send>>,
}

impl Lines {
    /// Lines in this format to this writer.
    pub fn new(format: Format, writer: Box<dyn Write + Send>) -> Self {
        let writer = Mutex::new(writer);
        Self { format, writer }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        let level = *event.metadata().level();
        let line = line(self.format, Time::now(), level, &message.0);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer.write_all(line.as_bytes());
        let _ = writer.flush();
    }
}

/// A line as JSON.
#[derive(Serialize)]
struct Object<'a> {
    time: String,
    level: &'static str,
    message: &'a str,
}

/// The line with its end. What could end a line or steer a terminal becomes a space.
fn line(format: Format, time: Time, level: Level, message: &str) -> String {
    let message: String = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let time = time.text();
    let level = match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        _ => "debug",
    };
    match format {
        Format::Text => format!("{time} {level:7} {message}\n"),
        Format::Json => {
            let message = message.as_str();
            let object = Object {
                time,
                level,
                message,
            };
            serde_json::to_string(&object).unwrap_or_default() + "\n"
        }
    }
}

/// Collects what an event says.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_lines_in_both_formats() {
        let said = "a \"b\"\nc\u{1b}[2J";
        assert_eq!(
            line(Format::Text, Time(0), Level::WARN, said),
            "1970-01-01T00:00:00Z warning a \"b\" c [2J\n"
        );
        assert_eq!(
            line(Format::Json, Time(0), Level::ERROR, said),
            "{\"time\":\"1970-01-01T00:00:00Z\",\"level\":\"error\",\"message\":\"a \\\"b\\\" c [2J\"}\n"
        );
    }
}
