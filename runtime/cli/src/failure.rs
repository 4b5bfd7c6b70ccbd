//! Failures of programs, and their exit codes.

use std::error::Error;
use std::process::ExitCode;

use crate::Text;

/// Exit code of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Success = 0,
    /// An error of the program itself.
    Bug = 1,
    /// The command line is invalid.
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

impl Exit {
    /// The meaning of an exit code; `None` for codes that these programs do not use.
    pub fn from_code(code: i32) -> Option<Self> {
        const ALL: [Exit; 9] = [
            Exit::Success,
            Exit::Bug,
            Exit::Usage,
            Exit::Input,
            Exit::Bundle,
            Exit::Device,
            Exit::Output,
            Exit::FailedCases,
            Exit::Interrupted,
        ];
        ALL.into_iter().find(|exit| *exit as i32 == code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// A failure of a program: the attempt, the cause, a remedy, and the exit code.
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

    /// Sets the attempt, such as `cannot segment ...`.
    pub fn attempting(mut self, attempt: impl Into<String>) -> Self {
        self.attempt = Some(attempt.into());
        self
    }

    /// Sets the remedy, if there is one.
    pub fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into().or(self.hint);
        self
    }

    pub fn cause(&self) -> &(dyn Error + 'static) {
        self.cause.as_ref()
    }

    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The whole message, as printed: one line each for attempt, causes and hint, with control characters escaped.
    pub fn render(&self) -> String {
        message(
            self.attempt.as_deref(),
            self.cause.as_ref(),
            self.hint.as_deref(),
        )
    }
}

/// A message: one line each for the attempt, the error, its causes and the hint, with control characters escaped.
pub fn message(attempt: Option<&str>, error: &(dyn Error + 'static), hint: Option<&str>) -> String {
    let mut lines: Vec<String> = attempt.into_iter().map(str::to_owned).collect();
    let mut cause = Some(error);
    while let Some(error) = cause {
        // Some libraries end their messages with a line break.
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
    if let Some(hint) = hint {
        text.blank().line(format!("hint: {hint}"));
    }
    text.as_str().to_owned()
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
