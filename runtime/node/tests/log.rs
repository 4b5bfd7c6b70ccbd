//! The log of a process: only its own lines, from a level on, as JSON.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use vesal_node::log::{self, LogFormat, LogLevel, LogSettings};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn only_own_lines_of_a_level_are_written() {
    let buffer = Buffer::default();
    let settings = LogSettings {
        level: "warning".parse().unwrap(),
        format: LogFormat::Json,
    };
    log::install(settings, Box::new(buffer.clone()));
    // The log is installed once.
    log::install(LogSettings::default(), Box::new(io::sink()));
    log::info("not that much");
    log::warning(format_args!("a {} with \"quotes\"", "line"));
    tracing::error!("of this test, whose target is none of ours");
    tracing::error!(target: "rustls", "of a library");
    log::error("the last");
    let bytes = buffer.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["level"].as_str(), line["message"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Some("warning"), Some("a line with \"quotes\"")),
            (Some("error"), Some("the last")),
        ]
    );
    assert_eq!(lines[0]["time"].as_str().map(str::len), Some(20));
    assert!("loud".parse::<LogLevel>().is_err());
}
