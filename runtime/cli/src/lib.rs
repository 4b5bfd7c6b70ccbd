//! What the command lines of all Vesal programs share: exit codes, the form of errors, and printing.
//!
//! Everything that is printed goes through [`stdout`], [`stderr`] and [`Failure`], which show by their numbers the
//! characters of foreign texts that a terminal would obey; so callers cannot forget to.
//!
//! A message is complete when a radiographer can tell which file, an engineer which rule, and both what to do next:
//!
//! ```text
//! error: cannot segment `case_012.nii.gz`
//!   caused by: channel count is 1, the bundle expects 3
//!
//! hint: `vesal inspect BUNDLE` lists the channels
//! ```

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod host_memory;
mod shown;
pub mod stderr;
pub mod stdout;
mod text;

use std::error::Error;
use std::process::ExitCode;

pub use shown::shown;
pub use text::{Columns, Text};

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done.
    Success = 0,
    /// The program is wrong.
    Bug = 1,
    /// The command line is wrong.
    Usage = 2,
    /// An input is missing, unreadable or unsuitable.
    Input = 3,
    /// A bundle or plan is damaged or unsuitable.
    Bundle = 4,
    /// A device or the inference on it failed.
    Device = 5,
    /// An output cannot be written.
    Output = 6,
    /// A batch ran to its end, and some cases failed.
    FailedCases = 7,
    /// Stopped by the user.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// A failure on its way to the terminal: what was attempted, why it failed, what to do, and how to exit.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    attempt: Option<String>,
    cause: Box<dyn Error + Send + Sync>,
    hint: Option<String>,
}

impl Failure {
    /// A failure with this exit code and cause.
    pub fn new(exit: Exit, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            exit,
            attempt: None,
            cause: cause.into(),
            hint: None,
        }
    }

    /// Says what was attempted: `cannot segment ...`.
    pub fn attempting(mut self, attempt: impl Into<String>) -> Self {
        self.attempt = Some(attempt.into());
        self
    }

    /// Says what to do, if there is something.
    pub fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into().or(self.hint);
        self
    }

    /// What went wrong.
    pub fn cause(&self) -> &(dyn Error + 'static) {
        self.cause.as_ref()
    }

    /// How the program is to exit.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The whole message, as printed: a line each for attempt, causes and hint, whatever texts they hold.
    pub fn render(&self) -> String {
        let mut lines = Vec::new();
        lines.extend(self.attempt.clone());
        let mut cause: Option<&(dyn Error + 'static)> = Some(self.cause.as_ref());
        while let Some(error) = cause {
            // Some libraries end their messages with the end of a line.
            let line = error.to_string().trim_end().to_owned();
            if lines.last() != Some(&line) {
                lines.push(line);
            }
            cause = error.source();
        }
        let mut text = Text::new();
        text.line(format!("error: {}", lines.remove(0)));
        for line in lines {
            text.line(format!("  caused by: {line}"));
        }
        if let Some(hint) = &self.hint {
            text.blank().line(format!("hint: {hint}"));
        }
        text.as_str().to_owned()
    }
}

/// Runs a program: prints a failure to stderr and turns the outcome into an exit code.
pub fn run(program: impl FnOnce() -> Result<Exit, Failure>) -> ExitCode {
    match program() {
        Ok(exit) => exit.into(),
        Err(failure) => {
            stderr::failure(&failure);
            failure.exit.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_attempt_causes_hint() {
        let cause = std::io::Error::other(std::io::Error::other("disk is full"));
        let failure = Failure::new(Exit::Output, cause)
            .attempting("cannot write `a.nii.gz`")
            .hint("free some space".to_owned());
        assert_eq!(
            failure.render(),
            "error: cannot write `a.nii.gz`\n  caused by: disk is full\n\nhint: free some space\n"
        );
        assert_eq!(failure.exit(), Exit::Output);
    }

    #[test]
    fn ends_of_lines_behind_a_cause_are_not_shown() {
        let failure = Failure::new(Exit::Device, std::io::Error::other("no kernel\n"));
        assert_eq!(failure.render(), "error: no kernel\n");
    }

    #[test]
    fn foreign_texts_forge_no_lines() {
        let cause = std::io::Error::other("`a\n  caused by: nothing\u{1b}[2K`");
        let failure = Failure::new(Exit::Input, cause)
            .attempting("cannot read `x\u{9b}1A`")
            .hint("look at `\u{202e}y`".to_owned());
        assert_eq!(
            failure.render(),
            "error: cannot read `x\\u{9b}1A`\n  \
             caused by: `a\\n  caused by: nothing\\u{1b}[2K`\n\n\
             hint: look at `\\u{202e}y`\n"
        );
    }
}
