//! Text in the character sets that a data set states (PS3.3 C.12.1.1.2, PS3.5 6.1).

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

/// Starts an escape sequence.
const ESCAPE: u8 = 0x1b;

/// Characters of a value of LO, the longest of the texts that are shown.
pub(super) const CHARACTERS_MAX: usize = 64;

/// The character sets of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CharacterSets {
    /// None is stated, or an unknown one: UTF-8 where the bytes are valid, else Latin alphabet No. 1.
    Untold,
    /// One without escape sequences: UTF-8, GB18030, GBK.
    Whole(&'static str),
    /// A set for bytes from 128 on, and those that escape sequences select.
    Extended(High),
}

/// The meaning of bytes from 128 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum High {
    None,
    /// A character each, of the set with this name.
    Single(&'static str),
    /// Latin alphabets No. 5 and No. 9: No. 1 with some characters replaced.
    Latin(&'static [(u8, char)]),
    /// Two bytes a character: Korean (KS X 1001), simplified Chinese (GB 2312).
    Pairs(&'static str),
}

/// The meaning of bytes below 128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Low {
    Ascii,
    /// Latin letters of JIS X 0201.
    Romaji,
    /// Two bytes a character: Japanese (JIS X 0208, JIS X 0212), behind this escape sequence.
    Pairs(&'static [u8]),
}

/// Latin alphabet No. 5, where it is not No. 1 (ISO 8859-9).
const LATIN_5: &[(u8, char)] = &[
    (0xd0, 'Ğ'),
    (0xdd, 'İ'),
    (0xde, 'Ş'),
    (0xf0, 'ğ'),
    (0xfd, 'ı'),
    (0xfe, 'ş'),
];

/// Latin alphabet No. 9, where it is not No. 1 (ISO 8859-15).
const LATIN_9: &[(u8, char)] = &[
    (0xa4, '€'),
    (0xa6, 'Š'),
    (0xa8, 'š'),
    (0xb4, 'Ž'),
    (0xb8, 'ž'),
    (0xbc, 'Œ'),
    (0xbd, 'œ'),
    (0xbe, 'Ÿ'),
];

/// Sets for bytes from 128 on: their number in the registry, and what follows ESC to select them.
const HIGH: [(&str, &[u8], High); 15] = [
    ("13", b")I", High::Single("ISO_IR 13")),
    ("100", b"-A", High::Single("ISO_IR 100")),
    ("101", b"-B", High::Single("ISO_IR 101")),
    ("109", b"-C", High::Single("ISO_IR 109")),
    ("110", b"-D", High::Single("ISO_IR 110")),
    ("126", b"-F", High::Single("ISO_IR 126")),
    ("127", b"-G", High::Single("ISO_IR 127")),
    ("138", b"-H", High::Single("ISO_IR 138")),
    ("144", b"-L", High::Single("ISO_IR 144")),
    ("148", b"-M", High::Latin(LATIN_5)),
    ("166", b"-T", High::Single("ISO_IR 166")),
    ("203", b"-b", High::Latin(LATIN_9)),
    ("149", b"$)C", High::Pairs("ISO_IR 149")),
    ("58", b"$)A", High::Pairs("GBK")),
    ("6", b"", High::None),
];

/// Sets for bytes below 128: what follows ESC to select them.
const LOW: [(&[u8], Low); 4] = [
    (b"(B", Low::Ascii),
    (b"(J", Low::Romaji),
    (b"$B", Low::Pairs(b"\x1b$B")),
    (b"$(D", Low::Pairs(b"\x1b$(D")),
];

impl CharacterSets {
    /// The sets that a value of Specific Character Set (0008,0005) names; `None` where the attribute is absent.
    pub fn of(value: Option<&[u8]>) -> Self {
        let value = text(value.unwrap_or_default());
        let mut names = value.split('\\').map(str::trim);
        let first = names.next().unwrap_or_default();
        let further = names.next().is_some();
        match first {
            "" | "ISO_IR 6" if !further => return Self::Untold,
            "" => return Self::Extended(High::None),
            "ISO_IR 192" => return Self::Whole("ISO_IR 192"),
            "GB18030" => return Self::Whole("GB18030"),
            "GBK" => return Self::Whole("GBK"),
            // All of its characters follow escape sequences.
            "ISO 2022 IR 87" | "ISO_IR 87" | "ISO 2022 IR 159" | "ISO_IR 159" => {
                return Self::Extended(High::None);
            }
            _ => {}
        }
        let number = first
            .strip_prefix("ISO_IR ")
            .or_else(|| first.strip_prefix("ISO 2022 IR "));
        HIGH.iter()
            .find(|(known, ..)| Some(*known) == number)
            .map_or(Self::Untold, |(_, _, high)| Self::Extended(*high))
    }

    /// A text without control characters and padding, cut after this many characters.
    pub fn decode(&self, value: &[u8], characters: usize) -> String {
        let shown: String = self
            .all(value)
            .chars()
            .filter(|character| !character.is_control())
            .collect();
        let shown = shown.trim();
        match shown.char_indices().nth(characters) {
            Some((end, _)) => shown[..end].trim_end().to_owned(),
            None => shown.to_owned(),
        }
    }

    /// The whole text; `None` if a byte is not in the character sets.
    pub fn decode_whole(&self, value: &[u8]) -> Option<String> {
        let decoded = self.all(value).into_owned();
        let is_known = is_plain(value)
            || match self {
                Self::Untold => false,
                Self::Whole("ISO_IR 192") => std::str::from_utf8(value).is_ok(),
                Self::Whole(name) => SpecificCharacterSet::from_code(name)
                    .and_then(|codec| codec.encode(&decoded).ok())
                    .is_some_and(|encoded| encoded == value),
                Self::Extended(_) => !decoded.contains(char::REPLACEMENT_CHARACTER),
            };
        is_known.then_some(decoded)
    }

    fn all<'a>(&self, value: &'a [u8]) -> Cow<'a, str> {
        match self {
            _ if value.iter().all(|byte| (0x20..0x7f).contains(byte)) => plain(value),
            Self::Untold if !value.contains(&ESCAPE) => plain(value),
            Self::Untold => Cow::Owned(extended(value, High::Single("ISO_IR 100"))),
            Self::Whole("ISO_IR 192") => plain(value),
            Self::Whole(name) => Cow::Owned(by_codec(name, value)),
            Self::Extended(high) => Cow::Owned(extended(value, *high)),
        }
    }
}

/// Whether a value is ASCII in every character set: without escapes to others, which are of 7 bits as well.
pub(super) fn is_plain(value: &[u8]) -> bool {
    value.is_ascii() && !value.contains(&ESCAPE)
}

/// Text without the padding that DICOM puts behind it; bytes that are not UTF-8 count as Latin-1.
pub(super) fn text(value: &[u8]) -> String {
    plain(value)
        .trim_matches(|c: char| c == '\0' || c.is_whitespace())
        .to_owned()
}

fn plain(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.iter().map(|&byte| char::from(byte)).collect()),
    }
}

fn by_codec(name: &str, value: &[u8]) -> String {
    SpecificCharacterSet::from_code(name)
        .and_then(|codec| codec.decode(value).ok())
        .unwrap_or_else(|| plain(value).into_owned())
}

/// Characters of the bytes from 128 on of each set of one byte a character; the replacement character for those that
/// are none.
static SINGLE: LazyLock<HashMap<&str, [char; 128]>> = LazyLock::new(|| {
    let single = HIGH.iter().filter_map(|(.., high)| match high {
        High::Single(name) => Some(*name),
        _ => None,
    });
    let table = |name| {
        std::array::from_fn(|index| {
            let mut decoded = String::new();
            character(name, &[index as u8 | 0x80], &mut decoded);
            decoded
                .chars()
                .next()
                .unwrap_or(char::REPLACEMENT_CHARACTER)
        })
    };
    single.map(|name| (name, table(name))).collect()
});

/// A character of one or two bytes; the replacement character for bytes that are none.
fn character(name: &str, bytes: &[u8], into: &mut String) {
    let decoded = by_codec(name, bytes);
    // The codec writes unknown bytes as numbers after a backslash.
    if decoded.is_empty() || decoded.starts_with('\\') {
        into.push(char::REPLACEMENT_CHARACTER);
    } else {
        into.push_str(&decoded);
    }
}

/// Interprets escape sequences; at a tab and the end of a line, the initial sets are restored.
///
/// The standard restores them at the end of a value and of a component of a name as well (PS3.5 6.1.2.5.3). Writers
/// have to switch back before; where one does not, the text is read on with the selected sets.
fn extended(value: &[u8], first: High) -> String {
    let (mut low, mut high) = (Low::Ascii, first);
    if first == High::Single("ISO_IR 13") {
        low = Low::Romaji;
    }
    let start = low;
    let mut decoded = String::with_capacity(value.len());
    let mut rest = value;
    while let [byte, after @ ..] = rest {
        if *byte == ESCAPE {
            let low_set = LOW.iter().find(|(sequence, _)| after.starts_with(sequence));
            let mut high_sets = HIGH.iter().filter(|(_, sequence, _)| !sequence.is_empty());
            let high_set = high_sets.find(|(_, sequence, _)| after.starts_with(sequence));
            let passed = match (low_set, high_set) {
                (Some((sequence, set)), _) => {
                    low = *set;
                    sequence.len()
                }
                (None, Some((_, sequence, set))) => {
                    high = *set;
                    sequence.len()
                }
                (None, None) => 0,
            };
            rest = &after[passed..];
            continue;
        }
        let pair = rest.get(..2);
        rest = after;
        match (byte, low, high) {
            (b'\n' | b'\r' | 0x0c | b'\t', ..) => {
                (low, high) = (start, first);
                decoded.push(char::from(*byte));
            }
            (0x21..=0x7e, Low::Pairs(sequence), _) => match pair {
                Some(pair) => {
                    rest = &rest[1..];
                    let escaped = [sequence, pair].concat();
                    character("ISO_IR 87", &escaped, &mut decoded);
                }
                None => decoded.push(char::REPLACEMENT_CHARACTER),
            },
            (b'\\', Low::Romaji, _) => decoded.push('¥'),
            (b'~', Low::Romaji, _) => decoded.push('‾'),
            (0..=0x7f, ..) => decoded.push(char::from(*byte)),
            (_, _, High::None) => decoded.push(char::REPLACEMENT_CHARACTER),
            (_, _, High::Single(name)) => decoded.push(
                SINGLE
                    .get(name)
                    .map_or(char::REPLACEMENT_CHARACTER, |table| {
                        table[usize::from(byte & 0x7f)]
                    }),
            ),
            (_, _, High::Latin(others)) => {
                let other = others.iter().find(|(code, _)| code == byte);
                decoded.push(other.map_or(char::from(*byte), |(_, character)| *character));
            }
            (_, _, High::Pairs(name)) => match pair {
                Some(pair) if pair[1] >= 0x80 => {
                    rest = &rest[1..];
                    character(name, pair, &mut decoded);
                }
                _ => decoded.push(char::REPLACEMENT_CHARACTER),
            },
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(sets: &str, value: &[u8]) -> String {
        CharacterSets::of(Some(sets.as_bytes())).decode(value, CHARACTERS_MAX)
    }

    /// The examples of PS3.5, annexes H, I, J and K, and names of PS3.3 C.12.1.1.2 in their languages.
    #[test]
    fn examples_of_the_standard_are_read() {
        let romaji_and_kanji = b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J";
        assert_eq!(
            decoded("ISO 2022 IR 13\\ISO 2022 IR 87", romaji_and_kanji),
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"
        );
        let kanji =
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B";
        assert_eq!(
            decoded("\\ISO 2022 IR 87", kanji),
            "Yamada^Tarou=山田^太郎=やまだ^たろう"
        );
        let hangul = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf";
        assert_eq!(
            decoded("\\ISO 2022 IR 149", hangul),
            "Hong^Gildong=洪^吉洞=홍^길동"
        );
        let utf_8 = b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=";
        assert_eq!(decoded("ISO_IR 192", utf_8), "Wang^XiaoDong=王^小東=");
        let gb18030 = b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=";
        assert_eq!(decoded("GB18030", gb18030), "Wang^XiaoDong=王^小东=");
        let gb2312 = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=";
        assert_eq!(
            decoded("\\ISO 2022 IR 58", gb2312),
            "Zhang^XiaoDong=张^小东="
        );
    }

    #[test]
    fn alphabets_of_one_byte_are_read() {
        let cases: [(&str, &[u8], &str); 9] = [
            ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
            ("ISO_IR 101", b"W\xb3odzimierz", "Włodzimierz"),
            (
                "ISO_IR 144",
                b"\xbb\xee\xda\x63e\xdc\xd1yp\xd3",
                "Люкceмбypг",
            ),
            (
                "ISO_IR 126",
                b"\xc4\xe9\xef\xed\xf5\xf3\xdf\xef\xf2",
                "Διονυσίος",
            ),
            ("ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea", "قباني"),
            ("ISO_IR 138", b"\xf9\xf8\xe5\xef", "שרון"),
            ("ISO_IR 148", b"\xc7avu\xfeo\xf0lu", "Çavuşoğlu"),
            ("ISO_IR 166", b"\xb9\xd2\xc1", "นาม"),
            ("ISO_IR 203", b"c\xbdur", "cœur"),
        ];
        for (set, value, expected) in cases {
            assert_eq!(decoded(set, value), expected, "{set}");
        }
        let switched = b"Kopf \x1b-L\xb3\xde\xdb\xde\xd2\xd0 \x1b-F\xca\xe5\xf6";
        assert_eq!(
            decoded(
                "ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 126",
                switched
            ),
            "Kopf Голова Κεφ"
        );
    }

    #[test]
    fn what_is_stated_nowhere_or_damaged_is_read_as_far_as_it_goes() {
        let untold = |value: &[u8]| CharacterSets::of(None).decode(value, CHARACTERS_MAX);
        assert_eq!(untold("Schädel".as_bytes()), "Schädel");
        assert_eq!(untold(b"Sch\xe4del"), "Schädel");
        assert_eq!(untold(b"a\x1b[31mb\x07c\0 "), "a[31mbc");
        assert_eq!(decoded("ISO_IR 999", b"Sch\xe4del"), "Schädel");
        assert_eq!(decoded("\\ISO 2022 IR 87", b"\x1b$B;"), "\u{fffd}");
        assert_eq!(decoded("\\ISO 2022 IR 149", b"\x1b$)C\xfb"), "\u{fffd}");
        assert_eq!(decoded("ISO_IR 192", b"Sch\xe4del"), "Schädel");
        let long = CharacterSets::Untold.decode("ä".repeat(70).as_bytes(), CHARACTERS_MAX);
        assert_eq!(long.chars().count(), CHARACTERS_MAX);
    }
}
