//! Command sets of messages: PS3.7 section 6.3 and annex E. Implicit little endian, group 0000, no sequences.

use crate::network::error::ConnectionError;

/// Longest command set in bytes; real ones have some hundred.
pub const COMMAND_BYTES_MAX: usize = 1 << 14;

/// Verification SOP class, of C-ECHO.
pub const VERIFICATION: &str = "1.2.840.10008.1.1";

/// Values of Command Field.
pub mod field {
    pub const STORE: u16 = 0x0001;
    pub const FIND: u16 = 0x0020;
    pub const ECHO: u16 = 0x0030;
    pub const CANCEL: u16 = 0x0fff;
    /// Bit that is set in responses.
    pub const ANSWER: u16 = 0x8000;
}

/// Statuses of responses (PS3.4 B.2.3, PS3.7 annex C).
pub mod status {
    pub const SUCCESS: u16 = 0x0000;
    pub const DUPLICATE: u16 = 0x0111;
    /// SOP class not supported.
    pub const CLASS: u16 = 0x0122;
    pub const INSTANCE: u16 = 0x0117;
    pub const OPERATION: u16 = 0x0211;
    /// Pending: a match, and more follow; with the second, some keys were not supported.
    pub const PENDING: [u16; 2] = [0xff00, 0xff01];
    pub const RESOURCES: u16 = 0xa700;
    /// Data set does not match SOP class.
    pub const MISMATCH: u16 = 0xa900;
    pub const UNREADABLE: u16 = 0xc000;

    /// The statuses that this node answers with.
    pub const ANSWERED: [u16; 8] = [
        SUCCESS, DUPLICATE, CLASS, INSTANCE, OPERATION, RESOURCES, MISMATCH, UNREADABLE,
    ];

    /// Whether an instance was accepted: success or a warning. A duplicate was not: the peer may keep something else.
    pub fn is_taken(status: u16) -> bool {
        status == SUCCESS || status == 0x0001 || status & 0xf000 == 0xb000
    }
}

/// Command Data Set Type of a message without a data set.
const NO_DATA: u16 = 0x0101;

/// The elements of a command set that are used here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandSet {
    /// One of [`field`].
    pub field: u16,
    /// Message ID, or Message ID Being Responded To.
    pub message: u16,
    pub class: String,
    /// UID of the SOP instance; empty where there is none.
    pub instance: String,
    /// Whether a data set follows.
    pub has_data: bool,
    /// Status of an answer.
    pub status: Option<u16>,
}

impl CommandSet {
    /// Decodes a command set.
    ///
    /// **Errors**: an element of another group, one that reaches beyond the set, or what every command has is absent.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, ConnectionError> {
        const BROKEN: ConnectionError =
            ConnectionError::Malformed("a command set has an element that it cannot have");
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
                // An invalid UID is answered with a status, after its data set.
                0x1000 => command.instance = uid(value).unwrap_or_default(),
                _ => {}
            }
        }
        let (Some(field), Some(data)) = (field, data) else {
            return Err(ConnectionError::Malformed(
                "a command set lacks its field or its type of data set",
            ));
        };
        command.field = field;
        command.has_data = data != NO_DATA;
        Ok(command)
    }

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

/// A UID; other texts are refused, so that they are neither logged nor answered.
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

    fn store() -> CommandSet {
        CommandSet {
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
        assert_eq!(CommandSet::decode(&store.encode()).unwrap(), store);
        let answer = store.answer(status::RESOURCES);
        assert_eq!(answer.field, 0x8001);
        assert_eq!(CommandSet::decode(&answer.encode()).unwrap(), answer);
    }

    #[test]
    fn no_cut_or_changed_command_panics() {
        let whole = store().encode();
        for length in 0..whole.len() {
            // The UID of the instance comes last, and not every command has one.
            let cut = CommandSet::decode(&whole[..length]);
            assert!(cut.is_err() || length == whole.len() - 14, "{length}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = CommandSet::decode(&changed);
            }
        }
    }

    #[test]
    fn texts_that_are_no_uids_are_not_taken() {
        let mut store = store();
        store.instance = "DOE^JOHN".to_owned();
        let found = CommandSet::decode(&store.encode()).unwrap();
        assert_eq!((found.instance.as_str(), found.has_data), ("", true));
        store.class = "DOE^JOHN".to_owned();
        assert!(CommandSet::decode(&store.encode()).is_err());
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
