//! Formats events as lines.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock::Time;
use crate::log::settings::LogFormat;

/// Writes each event as one line. Errors of the writer are ignored.
pub struct LogLines {
    format: LogFormat,
    writer: Mutex<Box<dyn Write + Send>>,
}

impl LogLines {
    /// Lines in this format to this writer.
    pub fn new(format: LogFormat, writer: Box<dyn Write + Send>) -> Self {
        let writer = Mutex::new(writer);
        Self { format, writer }
    }
}

impl<S: Subscriber> Layer<S> for LogLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = MessageField::default();
        event.record(&mut message);
        let level = *event.metadata().level();
        let line = line(self.format, Time::now(), level, &message.0);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer.write_all(line.as_bytes());
        let _ = writer.flush();
    }
}

#[derive(Serialize)]
struct JsonLine<'a> {
    time: String,
    level: &'static str,
    message: &'a str,
}

/// The line with its line ending. Control characters become spaces.
fn line(format: LogFormat, time: Time, level: Level, message: &str) -> String {
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
        LogFormat::Text => format!("{time} {level:7} {message}\n"),
        LogFormat::Json => {
            let message = message.as_str();
            let object = JsonLine {
                time,
                level,
                message,
            };
            serde_json::to_string(&object).unwrap_or_default() + "\n"
        }
    }
}

/// Collects the message of an event.
#[derive(Default)]
struct MessageField(String);

impl Visit for MessageField {
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
            line(LogFormat::Text, Time(0), Level::WARN, said),
            "1970-01-01T00:00:00Z warning a \"b\" c [2J\n"
        );
        assert_eq!(
            line(LogFormat::Json, Time(0), Level::ERROR, said),
            "{\"time\":\"1970-01-01T00:00:00Z\",\"level\":\"error\",\"message\":\"a \\\"b\\\" c [2J\"}\n"
        );
    }
}
