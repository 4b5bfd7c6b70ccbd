//! Command sets of messages: PS3.7 section 6.3 and annex E. Implicit little endian, group 0000, no sequences.

use crate::network::wire::WireError;

/// Bytes of a command set; real ones have some hundred.
pub const COMMAND_BYTES_MAX: usize = 1 << 14;

/// The class of C-ECHO.
pub const VERIFICATION: &str = "1.2.840.10008.1.1";

/// Kinds of commands.
pub mod field {
    /// C-STORE-RQ.
    pub const STORE: u16 = 0x0001;
    /// C-FIND-RQ.
    pub const FIND: u16 = 0x0020;
    /// C-ECHO-RQ.
    pub const ECHO: u16 = 0x0030;
    /// C-CANCEL-RQ.
    pub const CANCEL: u16 = 0x0fff;
    /// Set in answers.
    pub const ANSWER: u16 = 0x8000;
}

/// Statuses of answers (PS3.4 B.2.3, PS3.7 annex C).
pub mod status {
    /// Done.
    pub const SUCCESS: u16 = 0x0000;
    /// The instance is there already.
    pub const DUPLICATE: u16 = 0x0111;
    /// The class is not the one that was agreed on.
    pub const CLASS: u16 = 0x0122;
    /// The UID is none.
    pub const INSTANCE: u16 = 0x0117;
    /// No such command.
    pub const OPERATION: u16 = 0x0211;
    /// A match, more of which come; some keys may not have been looked at.
    pub const PENDING: [u16; 2] = [0xff00, 0xff01];
    /// No room.
    pub const RESOURCES: u16 = 0xa700;
    /// The data set is not what the command says.
    pub const MISMATCH: u16 = 0xa900;
    /// The data set cannot be read.
    pub const UNREADABLE: u16 = 0xc000;

    /// All that requests are answered with.
    pub const ANSWERED: [u16; 8] = [
        SUCCESS, DUPLICATE, CLASS, INSTANCE, OPERATION, RESOURCES, MISMATCH, UNREADABLE,
    ];

    /// Whether an instance was taken: success or a warning. A duplicate is none: the peer may keep something else.
    pub fn is_taken(status: u16) -> bool {
        status == SUCCESS || status == 0x0001 || status & 0xf000 == 0xb000
    }
}

/// Where there is no data set.
const NO_DATA: u16 = 0x0101;

/// A command set, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// One of [`field`].
    pub field: u16,
    /// Number of the message, or of the one that is answered.
    pub message: u16,
    /// UID of the class.
    pub class: String,
    /// UID of the instance; empty where there is none.
    pub instance: String,
    /// Whether a data set follows.
    pub has_data: bool,
    /// Status of an answer.
    pub status: Option<u16>,
}

impl Command {
    /// Takes a whole command set.
    ///
    /// **Errors**: an element of another group, one that reaches beyond the set, or what every command has is absent.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, WireError> {
        const BROKEN: WireError =
            WireError::Malformed("a command set has an element that it cannot have");
        let (mut command, mut field, mut data) = (Self::default(), None, None);
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_first_chunk::<8>().ok_or(BROKEN)?;
            let [g0, g1, e0, e1, l0, l1, l2, l3] = *head;
            let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            let (value, rest) = rest.split_at_checked(length).ok_or(BROKEN)?;
            if [g0, g1] != [0, 0] {
                return Err(BROKEN);
            }
            bytes = rest;
            let number = || match value {
                &[low, high] => Ok(u16::from_le_bytes([low, high])),
                _ => Err(BROKEN),
            };
            match u16::from_le_bytes([e0, e1]) {
                0x0002 => command.class = uid(value).ok_or(BROKEN)?,
                0x0100 => field = Some(number()?),
                0x0110 | 0x0120 => command.message = number()?,
                0x0800 => data = Some(number()?),
                0x0900 => command.status = Some(number()?),
                // What is none is answered as such; its data set still comes.
                0x1000 => command.instance = uid(value).unwrap_or_default(),
                _ => {}
            }
        }
        let (Some(field), Some(data)) = (field, data) else {
            return Err(WireError::Malformed(
                "a command set lacks its field or its type of data set",
            ));
        };
        command.field = field;
        command.has_data = data != NO_DATA;
        Ok(command)
    }

    /// The command set.
    pub fn encode(&self) -> Vec<u8> {
        let mut set = Vec::new();
        let mut put = |element: u16, value: &[u8]| {
            set.extend([0, 0]);
            set.extend(element.to_le_bytes());
            set.extend((value.len() as u32).to_le_bytes());
            set.extend(value);
        };
        let even = |uid: &str| {
            let mut bytes = uid.as_bytes().to_vec();
            bytes.resize(bytes.len().next_multiple_of(2), 0);
            bytes
        };
        put(0x0002, &even(&self.class));
        put(0x0100, &self.field.to_le_bytes());
        let is_answer = self.field & field::ANSWER != 0;
        let message = if is_answer { 0x0120 } else { 0x0110 };
        put(message, &self.message.to_le_bytes());
        if matches!(self.field, field::STORE | field::FIND) {
            // Medium priority.
            put(0x0700, &[0, 0]);
        }
        let data = if self.has_data { 0 } else { NO_DATA };
        put(0x0800, &data.to_le_bytes());
        if let Some(status) = self.status {
            put(0x0900, &status.to_le_bytes());
        }
        if !self.instance.is_empty() {
            put(0x1000, &even(&self.instance));
        }
        let mut whole = vec![0, 0, 0, 0, 4, 0, 0, 0];
        whole.extend((set.len() as u32).to_le_bytes());
        whole.extend(set);
        whole
    }

    /// The answer with this status.
    pub fn answer(&self, status: u16) -> Self {
        Self {
            field: self.field | field::ANSWER,
            has_data: false,
            status: Some(status),
            ..self.clone()
        }
    }
}

/// A UID; nothing else may stand there, so that nothing else is logged or answered.
fn uid(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let text = text.trim_matches([' ', '\0']);
    let fits = text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte == b'.' || byte.is_ascii_digit());
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Command {
        Command {
            field: field::STORE,
            message: 7,
            class: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
            instance: "1.2.3".to_owned(),
            has_data: true,
            status: None,
        }
    }

    #[test]
    fn commands_come_back_as_they_were_put() {
        let store = store();
        assert_eq!(Command::decode(&store.encode()).unwrap(), store);
        let answer = store.answer(status::RESOURCES);
        assert_eq!(answer.field, 0x8001);
        assert_eq!(Command::decode(&answer.encode()).unwrap(), answer);
    }

    #[test]
    fn no_cut_or_changed_command_panics() {
        let whole = store().encode();
        for length in 0..whole.len() {
            // The UID of the instance comes last, and not every command has one.
            let cut = Command::decode(&whole[..length]);
            assert!(cut.is_err() || length == whole.len() - 14, "{length}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = Command::decode(&changed);
            }
        }
    }

    #[test]
    fn texts_that_are_no_uids_are_not_taken() {
        let mut store = store();
        store.instance = "DOE^JOHN".to_owned();
        let found = Command::decode(&store.encode()).unwrap();
        assert_eq!((found.instance.as_str(), found.has_data), ("", true));
        store.class = "DOE^JOHN".to_owned();
        assert!(Command::decode(&store.encode()).is_err());
    }

    #[test]
    fn warnings_count_as_taken_and_duplicates_do_not() {
        for (code, taken) in [
            (0, true),
            (0xb000, true),
            (0x0111, false),
            (0xa700, false),
            (0xc001, false),
            (0x0122, false),
        ] {
            assert_eq!(status::is_taken(code), taken, "{code:04x}");
        }
    }
}
