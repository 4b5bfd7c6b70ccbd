//! Association requests and their answers (PS3.8 9.3.2 to 9.3.4).

use crate::network::error::ConnectionError;
use crate::network::pdu::{PDU_BYTES, pdu_type};
use vesal_io::dicom::{IMPLEMENTATION_VERSION, implementation_class};

/// The application context of DICOM (PS3.7 A.2.1).
pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// A proposed presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentationContext {
    /// Number of the presentation context, odd.
    pub context: u8,
    /// Abstract syntax: UID of the SOP class.
    pub class: String,
    /// UIDs of the proposed transfer syntaxes.
    pub syntaxes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociateRequest {
    pub called: String,
    pub calling: String,
    /// UID of the application context.
    pub application: String,
    pub contexts: Vec<PresentationContext>,
    /// Maximum length of PDUs that the requester receives; 0 for no maximum.
    pub pdu_bytes: u32,
}

/// Results of presentation contexts (PS3.8 table 9-18).
pub mod result {
    pub const ACCEPTED: u8 = 0;
    /// Abstract syntax not supported.
    pub const CLASS: u8 = 3;
    /// Transfer syntaxes not supported.
    pub const SYNTAX: u8 = 4;
}

/// The result of a proposed presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextResult {
    /// Number of the presentation context.
    pub context: u8,
    /// One of [`result`].
    pub result: u8,
    /// The accepted transfer syntax; not significant unless accepted.
    pub syntax: String,
}

/// Why an association is rejected: result, source and reason (PS3.8 table 9-21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Calling AE title not recognized.
    Caller,
    /// Called AE title not recognized.
    Called,
    /// Application context not supported.
    Application,
    /// Local limit of associations exceeded, temporarily.
    Busy,
}

impl Rejection {
    pub fn encode(self) -> Vec<u8> {
        let [result, source, reason] = match self {
            Self::Caller => [1, 1, 3],
            Self::Called => [1, 1, 7],
            Self::Application => [1, 1, 2],
            Self::Busy => [2, 3, 2],
        };
        vec![pdu_type::REJECT, 0, 0, 0, 0, 4, 0, result, source, reason]
    }

    /// Label for metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Called => "called",
            Self::Application => "application",
            Self::Busy => "busy",
        }
    }
}

/// The reason of an A-ASSOCIATE-RJ in words.
pub fn rejection(body: &[u8]) -> &'static str {
    match body {
        [_, _, 1, 3] => "the calling AE title is not recognized there",
        [_, _, 1, 7] => "the called AE title is not recognized there",
        [_, _, 1, 2] => "the application context is not supported there",
        [_, _, 3, _] => "it is busy",
        _ => "no reason is given",
    }
}

/// Iterates over items: type, reserved byte, length of 16 bits, contents.
struct PduItems<'a>(&'a [u8]);

impl<'a> Iterator for PduItems<'a> {
    type Item = Result<(u8, &'a [u8]), ConnectionError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let item = self
            .0
            .split_first_chunk::<4>()
            .and_then(|([kind, _, l0, l1], rest)| {
                let (item, rest) =
                    rest.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])))?;
                self.0 = rest;
                Some((*kind, item))
            });
        if item.is_none() {
            self.0 = &[];
        }
        Some(item.ok_or(ConnectionError::Malformed(
            "an item of the negotiation reaches beyond its PDU",
        )))
    }
}

const APPLICATION_ITEM: u8 = 0x10;
const PROPOSAL_ITEM: u8 = 0x20;
const ANSWER_ITEM: u8 = 0x21;
const CLASS_ITEM: u8 = 0x30;
const SYNTAX_ITEM: u8 = 0x40;
const USER_ITEM: u8 = 0x50;
const PDU_BYTES_ITEM: u8 = 0x51;
const IMPLEMENTATION_CLASS_ITEM: u8 = 0x52;
const IMPLEMENTATION_VERSION_ITEM: u8 = 0x55;

fn item(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut item = vec![kind, 0];
    item.extend((bytes.len() as u16).to_be_bytes());
    item.extend(bytes);
    item
}

/// Text of a UID or title; bytes that are not printable become question marks, so that it can be logged.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().rposition(|&byte| byte != 0);
    let text: String = bytes[..end.map_or(0, |last| last + 1)]
        .iter()
        .map(|&byte| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '?',
        })
        .collect();
    text.trim_matches(' ').to_owned()
}

fn title(title: &str) -> [u8; 16] {
    let mut field = [b' '; 16];
    for (to, from) in field.iter_mut().zip(title.bytes()) {
        *to = from;
    }
    field
}

/// Bytes in front of the items: version, titles, reserved bytes.
const HEAD: usize = 68;

/// A PDU of the head and the items.
fn pdu(kind: u8, called: &str, calling: &str, items: &[u8]) -> Vec<u8> {
    let mut pdu = vec![kind, 0];
    pdu.extend(((HEAD + items.len()) as u32).to_be_bytes());
    pdu.extend([0, 1, 0, 0]);
    pdu.extend(title(called));
    pdu.extend(title(calling));
    pdu.extend([0; 32]);
    pdu.extend(items);
    pdu
}

fn user_information() -> Vec<u8> {
    let items = [
        item(PDU_BYTES_ITEM, &PDU_BYTES.to_be_bytes()),
        item(IMPLEMENTATION_CLASS_ITEM, implementation_class().as_bytes()),
        item(
            IMPLEMENTATION_VERSION_ITEM,
            IMPLEMENTATION_VERSION.as_bytes(),
        ),
    ];
    item(USER_ITEM, &items.concat())
}

/// Maximum length of PDUs in the user information of the peer.
fn pdu_bytes(user: &[u8]) -> Result<u32, ConnectionError> {
    let mut bytes = 0;
    for item in PduItems(user) {
        if let (PDU_BYTES_ITEM, &[b0, b1, b2, b3]) = item? {
            bytes = u32::from_be_bytes([b0, b1, b2, b3]);
        }
    }
    Ok(bytes)
}

impl AssociateRequest {
    /// Decodes the variable part of an A-ASSOCIATE-RQ.
    ///
    /// **Errors**: it is too short, an item reaches beyond it, or a context is proposed twice.
    pub fn decode(body: &[u8]) -> Result<Self, ConnectionError> {
        let Some((head, items)) = body.split_at_checked(HEAD) else {
            return Err(ConnectionError::Malformed(
                "an association request is too short",
            ));
        };
        let mut request = Self {
            called: text(&head[4..20]),
            calling: text(&head[20..36]),
            application: String::new(),
            contexts: Vec::new(),
            pdu_bytes: 0,
        };
        for item in PduItems(items) {
            match item? {
                (APPLICATION_ITEM, name) => request.application = text(name),
                (PROPOSAL_ITEM, &[context, _, _, _, ref items @ ..]) => {
                    let mut proposed = PresentationContext {
                        context,
                        class: String::new(),
                        syntaxes: Vec::new(),
                    };
                    for item in PduItems(items) {
                        match item? {
                            (CLASS_ITEM, class) => proposed.class = text(class),
                            (SYNTAX_ITEM, syntax) => proposed.syntaxes.push(text(syntax)),
                            _ => {}
                        }
                    }
                    let known = &request.contexts;
                    if context % 2 == 0 || known.iter().any(|p| p.context == context) {
                        return Err(ConnectionError::Malformed(
                            "a presentation context has an invalid number",
                        ));
                    }
                    request.contexts.push(proposed);
                }
                (USER_ITEM, items) => request.pdu_bytes = pdu_bytes(items)?,
                _ => {}
            }
        }
        Ok(request)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut items = item(APPLICATION_ITEM, self.application.as_bytes());
        for proposed in &self.contexts {
            let mut bytes = vec![proposed.context, 0, 0, 0];
            bytes.extend(item(CLASS_ITEM, proposed.class.as_bytes()));
            for syntax in &proposed.syntaxes {
                bytes.extend(item(SYNTAX_ITEM, syntax.as_bytes()));
            }
            items.extend(item(PROPOSAL_ITEM, &bytes));
        }
        items.extend(user_information());
        pdu(pdu_type::REQUEST, &self.called, &self.calling, &items)
    }

    /// The A-ASSOCIATE-AC with these results.
    pub fn accept(&self, answers: &[ContextResult]) -> Vec<u8> {
        let mut items = item(APPLICATION_ITEM, APPLICATION_CONTEXT.as_bytes());
        for answer in answers {
            let mut bytes = vec![answer.context, 0, answer.result, 0];
            bytes.extend(item(SYNTAX_ITEM, answer.syntax.as_bytes()));
            items.extend(item(ANSWER_ITEM, &bytes));
        }
        items.extend(user_information());
        pdu(pdu_type::ACCEPT, &self.called, &self.calling, &items)
    }
}

/// Decodes the variable part of an A-ASSOCIATE-AC: the results, and the maximum length of PDUs that the peer receives.
///
/// **Errors**: it is too short, or an item reaches beyond it.
pub fn accepted(body: &[u8]) -> Result<(Vec<ContextResult>, u32), ConnectionError> {
    let Some(items) = body.get(HEAD..) else {
        return Err(ConnectionError::Malformed(
            "an association answer is too short",
        ));
    };
    let (mut answers, mut bytes) = (Vec::new(), 0);
    for item in PduItems(items) {
        match item? {
            (ANSWER_ITEM, &[context, _, result, _, ref items @ ..]) => {
                let mut syntax = String::new();
                // After a refusal, peers leave out the transfer syntax or send anything.
                if result == result::ACCEPTED {
                    for item in PduItems(items) {
                        if let (SYNTAX_ITEM, name) = item? {
                            syntax = text(name);
                        }
                    }
                }
                answers.push(ContextResult {
                    context,
                    result,
                    syntax,
                });
            }
            (USER_ITEM, items) => bytes = pdu_bytes(items)?,
            _ => {}
        }
    }
    Ok((answers, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> AssociateRequest {
        AssociateRequest {
            called: "VESAL".to_owned(),
            calling: "SCANNER".to_owned(),
            application: APPLICATION_CONTEXT.to_owned(),
            contexts: vec![
                PresentationContext {
                    context: 1,
                    class: "1.2.840.10008.1.1".to_owned(),
                    syntaxes: vec!["1.2.840.10008.1.2".to_owned()],
                },
                PresentationContext {
                    context: 3,
                    class: "1.2.3".to_owned(),
                    syntaxes: vec!["1.2".to_owned(), "1.3".to_owned()],
                },
            ],
            pdu_bytes: PDU_BYTES,
        }
    }

    #[test]
    fn requests_and_answers_come_back_as_they_were_put() {
        let request = request();
        assert_eq!(
            AssociateRequest::decode(&request.encode()[6..]).unwrap(),
            request
        );
        let answers = vec![
            ContextResult {
                context: 1,
                result: result::ACCEPTED,
                syntax: "1.2.840.10008.1.2".to_owned(),
            },
            ContextResult {
                context: 3,
                result: result::SYNTAX,
                syntax: String::new(),
            },
        ];
        let pdu = request.accept(&answers);
        assert_eq!(accepted(&pdu[6..]).unwrap(), (answers, PDU_BYTES));
    }

    #[test]
    fn no_cut_or_changed_request_panics() {
        let whole = request().encode();
        let body = &whole[6..];
        for length in 0..body.len() {
            let _ = AssociateRequest::decode(&body[..length]);
            let _ = accepted(&body[..length]);
        }
        for at in 0..body.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = body.to_vec();
                changed[at] = value;
                let _ = AssociateRequest::decode(&changed);
                let _ = accepted(&changed);
            }
        }
        assert!(AssociateRequest::decode(&body[..HEAD + 3]).is_err());
    }

    #[test]
    fn contexts_are_odd_and_different() {
        let mut twice = request();
        twice.contexts[1].context = 1;
        assert!(AssociateRequest::decode(&twice.encode()[6..]).is_err());
        twice.contexts[1].context = 2;
        assert!(AssociateRequest::decode(&twice.encode()[6..]).is_err());
    }
}
