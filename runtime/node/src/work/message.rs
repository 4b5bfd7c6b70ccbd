//! What is taken over of the words of a prediction that failed.

use crate::work::Order;

/// Bytes of a prediction's stderr that are looked at, the last ones.
pub const TAIL_BYTES: usize = 1 << 14;

/// Characters of a reason.
const REASON_LENGTH: usize = 400;

/// The error and its causes in one line, without UIDs and without the names of the job's folders.
pub fn reason(stderr: &[u8], order: &Order<'_>) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().collect();
    let Some(first) = lines.iter().rposition(|line| line.starts_with("error: ")) else {
        return "it did not say why".to_owned();
    };
    let error = lines[first].trim_start_matches("error: ");
    let causes = lines[first + 1..]
        .iter()
        .map_while(|line| line.trim_start().strip_prefix("caused by: "));
    let whole = std::iter::once(error)
        .chain(causes)
        .collect::<Vec<_>>()
        .join(": ");
    let whole = whole
        .replace(&*order.input.to_string_lossy(), "INPUT")
        .replace(&*order.output.to_string_lossy(), "OUTPUT");
    let printable = whole.chars().map(|c| if c.is_control() { ' ' } else { c });
    let without = without_uids(printable);
    match without.char_indices().nth(REASON_LENGTH) {
        Some((end, _)) => format!("{}…", &without[..end]),
        None => without,
    }
}

/// Puts a word in place of everything that looks like a UID.
fn without_uids(text: impl Iterator<Item = char>) -> String {
    let (mut out, mut run) = (String::new(), String::new());
    let end = |out: &mut String, run: &mut String| {
        let dots = run.matches('.').count();
        if dots >= 4 || run.len() >= 20 {
            out.push_str("[uid]");
        } else {
            out.push_str(run);
        }
        run.clear();
    };
    for character in text {
        if character == '.' || character.is_ascii_digit() {
            run.push(character);
        } else {
            end(&mut out, &mut run);
            out.push(character);
        }
    }
    end(&mut out, &mut run);
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::config::{Config, EXAMPLE};

    fn told(stderr: &str) -> String {
        let config = Config::parse(EXAMPLE, Path::new("x")).unwrap();
        let order = Order {
            service: &config.services[0],
            input: Path::new("/s/jobs/1/input"),
            output: Path::new("/s/jobs/1/run-2"),
            limit: Duration::ZERO,
        };
        reason(stderr.as_bytes(), &order)
    }

    #[test]
    fn the_last_error_and_its_causes_are_told() {
        let stderr = "note: one\nerror: cannot read `/s/jobs/1/input/a.dcm`\n  caused by: it ends\n\nhint: send again\n";
        assert_eq!(told(stderr), "cannot read `INPUT/a.dcm`: it ends");
        assert_eq!(told("thread panicked"), "it did not say why");
        assert!(told(&format!("error: {}", "x".repeat(9999))).len() < 500);
    }

    #[test]
    fn uids_are_not_told() {
        let stderr = "error: series 1.2.840.113619.2 and 2.25.329800735698586629295641978511506172918_seg.dcm, spacing 0.75, version 1.31.1\n";
        assert_eq!(
            told(stderr),
            "series [uid] and [uid]_seg.dcm, spacing 0.75, version 1.31.1"
        );
    }
}
