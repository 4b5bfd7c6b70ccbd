//! Bounds of the YAML that trainer and exporter read. Its decoder (libyaml) looks at all open brackets for every token,
//! and at all directives for each: some hundred kilobytes of them would keep it busy for minutes.

use thiserror::Error;

/// Most brackets of lists and mappings that are open at once.
pub const MAX_NESTING: usize = 64;
/// Most directives, lines that begin with `%`.
pub const MAX_DIRECTIVES: usize = 64;

/// Why a text is refused before it is decoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum YamlError {
    /// Larger than the limit.
    #[error("it is larger than {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    #[error("it is not UTF-8 from byte {at} on")]
    Encoding {
        /// Position of the first byte of another encoding.
        at: usize,
    },
    /// Too many open brackets.
    #[error("line {line} has more than {MAX_NESTING} lists and mappings within each other")]
    Nesting {
        /// The line, from 1.
        line: usize,
    },
    #[error(
        "it has {found} directives, which are lines that begin with `%`, expected at most {MAX_DIRECTIVES}"
    )]
    Directives { found: usize },
}

impl YamlError {
    /// A remedy for the user.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "the file holds something else: name the right one",
            Self::Encoding { .. } => "store it as UTF-8",
            Self::Nesting { .. } => {
                "close every `[` and `{`; texts that contain them go into quotes"
            }
            Self::Directives { .. } => "leave the directives out: none is needed",
        }
    }
}

/// Checks that decoding takes no more time than the length of the text justifies.
///
/// **Definition**: the nesting of brackets is bounded from above, for every way to read quotes, comments and tags. Texts
/// with many more opening than closing brackets outside of quotes are refused even where YAML reads them as characters.
///
/// **Errors**: [`YamlError`].
///
/// **Examples**
/// ```
/// use vesal_files::yaml::{YamlError, check};
/// assert_eq!(check(b"roi_size: [32, 48, 32] # [voxels", 100), Ok(()));
/// let nested = "[".repeat(65);
/// assert_eq!(check(nested.as_bytes(), 100), Err(YamlError::Nesting { line: 1 }));
/// ```
pub fn check(bytes: &[u8], limit_bytes: u64) -> Result<(), YamlError> {
    if bytes.len() as u64 > limit_bytes {
        return Err(YamlError::TooLarge { limit_bytes });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| YamlError::Encoding {
        at: error.valid_up_to(),
    })?;
    check_directives(text)?;
    let opening = text.bytes().filter(|byte| matches!(byte, b'[' | b'{'));
    if opening.count() <= MAX_NESTING {
        return Ok(());
    }
    check_nesting(text)
}

fn check_directives(text: &str) -> Result<(), YamlError> {
    let lines = text.split(is_break);
    let directives = lines.filter(|line| line.trim_start_matches(BOM).starts_with('%'));
    match directives.count() {
        found if found > MAX_DIRECTIVES => Err(YamlError::Directives { found }),
        _ => Ok(()),
    }
}

/// The kinds of text that a character may belong to. Whether a quote begins a quoted text depends on the whole grammar:
/// all ways to read it are followed, and for each kind the deepest nesting is kept.
#[derive(Clone, Copy)]
enum Within {
    Plain,
    Single,
    Double,
    Escape,
    Comment,
    Tag,
}

const KINDS: usize = 6;
/// Byte order mark, allowed at the start of a line.
const BOM: char = '\u{feff}';

fn check_nesting(text: &str) -> Result<(), YamlError> {
    use Within::{Comment, Double, Escape, Plain, Single, Tag};
    let mut depths = [None; KINDS];
    depths[Plain as usize] = Some(0_usize);
    let (mut before, mut line) = ('\n', 1);
    for c in text.chars() {
        let mut next = [None; KINDS];
        let mut go = |to: Within, depth: usize| {
            let place: &mut Option<usize> = &mut next[to as usize];
            *place = (*place).max(Some(depth));
        };
        let blank = is_break(before) || matches!(before, ' ' | '\t');
        let starts = blank
            || matches!(
                before,
                BOM | '[' | ']' | '{' | '}' | ',' | ':' | '?' | '\'' | '"'
            );
        for (within, depth) in [Plain, Single, Double, Escape, Comment, Tag]
            .into_iter()
            .zip(depths)
        {
            let Some(depth) = depth else { continue };
            match (within, c) {
                (Plain, '[' | '{') if depth == MAX_NESTING => {
                    return Err(YamlError::Nesting { line });
                }
                (Plain, '[' | '{') => go(Plain, depth + 1),
                (Plain, ']' | '}') => go(Plain, depth.saturating_sub(1)),
                // After a blank it begins a comment, except in texts where brackets have no meaning.
                (Plain, '#') if blank => go(Comment, depth),
                (Plain, '\'' | '"' | '#' | '!') => {
                    go(Plain, depth);
                    if starts {
                        go(
                            match c {
                                '\'' => Single,
                                '"' => Double,
                                '#' => Comment,
                                _ => Tag,
                            },
                            depth,
                        );
                    }
                }
                (Single, '\'') | (Double, '"') => go(Plain, depth),
                (Double, '\\') => go(Escape, depth),
                (Escape, _) => go(Double, depth),
                (Comment, c) if is_break(c) => go(Plain, depth),
                (Tag, c) if is_break(c) || matches!(c, ' ' | '\t') => go(Plain, depth),
                (within, _) => go(within, depth),
            }
        }
        line += usize::from(is_break(c) && (before, c) != ('\r', '\n'));
        (before, depths) = (c, next);
    }
    Ok(())
}

/// Line breaks of YAML 1.1.
fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1 << 20;

    fn checked(text: &str) -> Result<(), YamlError> {
        check(text.as_bytes(), LIMIT)
    }

    #[test]
    fn long_texts_of_shallow_lists_pass() {
        let entry = "'*t1 [a]*': ['it''s', \"b\\\"]\", c], # it's [one\n";
        assert_eq!(checked(&entry.repeat(1000)), Ok(()));
        let entry = "  - {\"name\": \"Mass (finding)\", 'codes': ['10', x] }\n";
        assert_eq!(checked(&entry.repeat(1000)), Ok(()));
        let text = format!("a: it's\nb: {}{}\n", "[".repeat(64), "]".repeat(64));
        assert_eq!(checked(&text.repeat(3)), Ok(()));
    }

    #[test]
    fn no_quote_comment_or_tag_hides_brackets_that_stay_open() {
        for unit in [
            "[",
            "{",
            "[']',",
            "[\"]\",",
            "[\"\\\"]\",",
            "['a'']',",
            "[# ]\n",
            "[a # ]\n",
            "[!a]b ,",
            "['a'#]\n,",
            "[? ']': ",
            "['a':']',",
        ] {
            // A prefix, even a quote that is never closed, changes nothing.
            for first in [
                "",
                "a: it's\nb: ",
                "a: b\n  ' c\nb: ",
                "- x]#y: ",
                "a: |\n  \" x\nb: ",
                "#'\u{2028}",
            ] {
                let text = format!("{first}{}", unit.repeat(200));
                let found = checked(&text);
                assert!(
                    matches!(found, Err(YamlError::Nesting { .. })),
                    "{text}: {found:?}"
                );
            }
        }
        assert_eq!(
            checked(&format!("a: 1\r\n\nb: {}", "[".repeat(65))),
            Err(YamlError::Nesting { line: 3 })
        );
    }

    #[test]
    fn size_encoding_and_directives_are_bounded() {
        let limit_bytes = 4;
        assert_eq!(check(b"a: 12", 4), Err(YamlError::TooLarge { limit_bytes }));
        let utf_16 = [0xff, 0xfe, b'[', 0];
        assert_eq!(check(&utf_16, LIMIT), Err(YamlError::Encoding { at: 0 }));
        assert_eq!(checked(&"%YAML 1.1\n".repeat(64)), Ok(()));
        let found = checked(&"%TAG !a! b\n".repeat(65));
        assert_eq!(found, Err(YamlError::Directives { found: 65 }));
    }
}
