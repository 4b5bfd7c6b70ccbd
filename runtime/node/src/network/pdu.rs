//! Types of PDUs, and the values of P-DATA-TF (PS3.8 9.3).

use crate::network::error::ConnectionError;

/// Maximum length of PDUs that this side receives and sends, in bytes of the variable part.
pub const PDU_BYTES: u32 = 1 << 16;

/// Types of PDUs (PS3.8 9.3).
pub mod pdu_type {
    /// A-ASSOCIATE-RQ.
    pub const REQUEST: u8 = 1;
    /// A-ASSOCIATE-AC.
    pub const ACCEPT: u8 = 2;
    /// A-ASSOCIATE-RJ.
    pub const REJECT: u8 = 3;
    /// P-DATA-TF.
    pub const DATA: u8 = 4;
    /// A-RELEASE-RQ.
    pub const RELEASE_REQUEST: u8 = 5;
    /// A-RELEASE-RP.
    pub const RELEASE_REPLY: u8 = 6;
    /// A-ABORT.
    pub const ABORT: u8 = 7;
}

/// A presentation data value (PDV) of a P-DATA-TF: a fragment of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PDataValue<'a> {
    pub context: u8,
    /// Whether it is of a command set rather than of a data set.
    pub command: bool,
    /// Whether it is the last fragment.
    pub last: bool,
    pub bytes: &'a [u8],
}

/// Takes the next value off the variable part of a P-DATA-TF; `None` at its end.
///
/// **Errors**: a length that leads beyond the PDU.
///
/// **Source**: PS3.8 9.3.5.1, E.2.
pub fn next_value<'a>(body: &mut &'a [u8]) -> Result<Option<PDataValue<'a>>, ConnectionError> {
    const BROKEN: ConnectionError =
        ConnectionError::Malformed("a piece of a message reaches beyond its PDU");
    if body.is_empty() {
        return Ok(None);
    }
    let (length, rest) = body.split_first_chunk::<4>().ok_or(BROKEN)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length < 2 || length > rest.len() {
        return Err(BROKEN);
    }
    let (value, rest) = rest.split_at(length);
    *body = rest;
    Ok(Some(PDataValue {
        context: value[0],
        command: value[1] & 1 != 0,
        last: value[1] & 2 != 0,
        bytes: &value[2..],
    }))
}

/// A P-DATA-TF with one value.
pub fn encode_value(value: PDataValue<'_>) -> Vec<u8> {
    let length = value.bytes.len() as u32 + 2;
    let mut pdu = Vec::with_capacity(value.bytes.len() + 12);
    pdu.extend([pdu_type::DATA, 0]);
    pdu.extend((length + 4).to_be_bytes());
    pdu.extend(length.to_be_bytes());
    let control = u8::from(value.command) | u8::from(value.last) << 1;
    pdu.extend([value.context, control]);
    pdu.extend(value.bytes);
    pdu
}

/// Bytes of a message in one P-DATA-TF to a peer with this maximum length of PDUs; 0 means no maximum.
pub fn value_bytes(peer: u32) -> usize {
    let length = if peer == 0 {
        PDU_BYTES
    } else {
        peer.clamp(128, PDU_BYTES)
    };
    length as usize - 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were_put() {
        let first = PDataValue {
            context: 3,
            command: true,
            last: false,
            bytes: b"abcd",
        };
        let pdu = encode_value(first);
        assert_eq!(pdu.len(), 6 + 10);
        let mut body = &pdu[6..];
        assert_eq!(next_value(&mut body).unwrap(), Some(first));
        assert_eq!(next_value(&mut body).unwrap(), None);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for bytes in [
            &[0, 0, 0][..],
            &[0, 0, 0, 0],
            &[0, 0, 0, 1, 1],
            &[0, 0, 0, 9, 1, 3, 0],
            &[0xff, 0xff, 0xff, 0xff, 1, 3],
        ] {
            assert!(next_value(&mut &*bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(value_bytes(0), PDU_BYTES as usize - 6);
        assert_eq!(value_bytes(1), 122);
    }
}
