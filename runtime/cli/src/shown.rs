//! Escapes foreign texts for a terminal: file names and contents of files may have control characters.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Characters after which a foreign text is cut.
const SHOWN_MAX: usize = 512;

/// Characters after which a line is cut: a message may name several files.
const LINE_MAX: usize = 8192;

/// A foreign text or file name, escaped for a line on a terminal.
///
/// **Definition**: characters that move the cursor, begin a new line, switch colors or change the reading direction are
/// escaped by their number, as in `\u{1b}`, or as `\n`, `\r` and `\t`; after 512 characters follows an ellipsis.
///
/// **Examples**
/// ```
/// assert_eq!(vesal_cli::shown("Abdomen"), "Abdomen");
/// assert_eq!(vesal_cli::shown("red\u{1b}[31m\n"), r"red\u{1b}[31m\n");
/// ```
pub fn shown(text: &str) -> Cow<'_, str> {
    shown_within(text, SHOWN_MAX)
}

/// A line with foreign texts, escaped.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    shown_within(text, LINE_MAX)
}

/// As [`shown`], with another limit of characters.
pub(crate) fn shown_within(text: &str, limit: usize) -> Cow<'_, str> {
    let is_long = text.len() > limit && text.chars().nth(limit).is_some();
    if !is_long && !text.chars().any(is_control) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::new();
    for character in text.chars().take(limit) {
        push(&mut safe, character);
    }
    if is_long {
        safe.push('…');
    }
    Cow::Owned(safe)
}

/// Lines escaped for a terminal; only line endings stay.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    if !text
        .chars()
        .any(|character| character != '\n' && is_control(character))
    {
        return Cow::Borrowed(text);
    }
    let mut safe = String::new();
    for character in text.chars() {
        match character {
            '\n' => safe.push('\n'),
            other => push(&mut safe, other),
        }
    }
    Cow::Owned(safe)
}

/// JSON escaped for a terminal: control characters in its strings become `\u` escapes.
pub(crate) fn json(text: String) -> String {
    let is_plain = |character: char| character == '\n' || !is_control(character);
    if text.chars().all(is_plain) {
        return text;
    }
    let mut safe = String::new();
    for character in text.chars() {
        if is_plain(character) {
            safe.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    safe
}

fn push(safe: &mut String, character: char) {
    match character {
        '\n' => safe.push_str("\\n"),
        '\r' => safe.push_str("\\r"),
        '\t' => safe.push_str("\\t"),
        control if is_control(control) => {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(control));
        }
        plain => safe.push(plain),
    }
}

/// Whether a terminal interprets a character instead of showing it.
///
/// **Definition**: controls of ASCII and Latin-1 (general category Cc); marks, embeddings, overrides and isolates of
/// reading direction; separators of lines and paragraphs; characters without width or shape, among them joiners,
/// fillers, variation selectors and tags.
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_by_its_number() {
        assert_eq!(shown("Ångström 山田 \u{b7}"), "Ångström 山田 \u{b7}");
        assert_eq!(
            shown("\u{0}\u{7}\u{1b}[2J\u{7f}\u{9b}31m"),
            r"\u{0}\u{7}\u{1b}[2J\u{7f}\u{9b}31m"
        );
        assert_eq!(shown("a\nb\r\tc"), r"a\nb\r\tc");
        assert_eq!(
            shown("\u{202e}gnp\u{2066}\u{2028}\u{feff}\u{e0041}"),
            r"\u{202e}gnp\u{2066}\u{2028}\u{feff}\u{e0041}"
        );
    }

    #[test]
    fn characters_that_nobody_sees_are_shown_by_their_number() {
        for character in "\u{34f}\u{115f}\u{1160}\u{3164}\u{ffa0}\u{fe0f}\u{180b}\u{e0100}".chars()
        {
            let text = format!("a{character}b");
            assert_eq!(shown(&text), format!("a\\u{{{:x}}}b", u32::from(character)));
        }
    }

    #[test]
    fn long_texts_end_with_an_ellipsis() {
        let long = "é".repeat(SHOWN_MAX);
        assert_eq!(shown(&long), long);
        let longer = format!("{long}x");
        assert_eq!(shown(&longer), format!("{long}…"));
        assert_eq!(line(&longer), longer);
    }

    #[test]
    fn lines_keep_their_ends_and_json_its_meaning() {
        assert_eq!(lines("a\nb\u{1b}\n"), "a\nb\\u{1b}\n");
        let text = "C1 \u{9b} and \u{202e} and \u{e0041}";
        let safe = json(serde_json::to_string(text).unwrap());
        assert!(safe.is_ascii(), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }
}
